/**
 * The first journey: `npm run demo` with real programs, the records service run from a copy outside the repository with
 * the SDK as a user installs it. The demo checks every step itself; here it is checked that it can fail, and that it
 * leaves nothing behind.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

describe('the first journey', () => {
  let folder: string;
  before(async () => {
    // The demo's own temporary folders go below this one, so that what it leaves can be seen.
    folder = await mkdtemp(join(tmpdir(), 'journey-'));
  });
  after(() => rm(folder, { recursive: true }));

  async function demo(args: readonly string[], whileRunning?: (output: string, pid: number) => void) {
    const env = { ...process.env, TMPDIR: folder, NO_COLOR: '1' };
    const child = spawn(process.execPath, [join(root, 'scripts/demo.ts'), ...args], { env });
    let output = '';
    const read = (chunk: Buffer) => {
      output += chunk.toString();
      whileRunning?.(output, child.pid ?? 0);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return { exitCode, output };
  }

  async function assertNothingLeft(): Promise<void> {
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('gatehouse-')),
      [],
    );
    const commands = await Promise.all(
      (await readdir('/proc'))
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
    );
    assert.deepEqual(
      commands.filter((command) => command.includes(folder)),
      [],
    );
  }

  it('goes as told, with files of any kind and size, and leaves nothing', async () => {
    const files = {
      'letter.txt': Buffer.from('Grüße\n'),
      'empty.bin': Buffer.alloc(0),
      'big.bin': randomBytes(20_000_000),
    };
    const paths = await Promise.all(
      Object.entries(files).map(async ([name, bytes]) => {
        await writeFile(join(folder, name), bytes);
        return join(folder, name);
      }),
    );
    const { exitCode, output } = await demo(['--packed', ...paths]);
    assert.equal(exitCode, 0, output);
    for (let step = 1; step <= 9; step++) assert.match(output, new RegExp(`^${step}\\. `, 'm'));
    assert.match(output, /Everything was as told/);
    assert.match(output, /The audit trail is whole/);
    // No whole token, secret or password is printed.
    assert.doesNotMatch(output, /eyJ[\w-]{40}/);
    await assertNothingLeft();
  });

  it('fails, and leaves nothing, when a file is too large', async () => {
    const path = join(folder, 'too-large.bin');
    const file = await open(path, 'w');
    await file.truncate(64 * 1024 * 1024 + 1);
    await file.close();
    const { exitCode, output } = await demo([path]);
    assert.equal(exitCode, 1);
    assert.match(output, /Not as told: .*67108865 bytes/);
    await assertNothingLeft();
  });

  it('fails, and leaves nothing, when it is interrupted', async () => {
    let interrupted = false;
    const { exitCode, output } = await demo([], (seen, pid) => {
      if (interrupted || !/^2\. /m.test(seen)) return;
      interrupted = true;
      process.kill(pid, 'SIGINT');
    });
    assert.equal(exitCode, 1);
    assert.match(output, /interrupted by SIGINT/);
    await assertNothingLeft();
  });
});
