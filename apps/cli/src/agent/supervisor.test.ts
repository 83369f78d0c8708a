/** The supervisor with real programs: what one sees of a program must be the same with and without it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const harness = fileURLToPath(new URL('testing/supervise.ts', import.meta.url));
const running = new Set<ChildProcess>();
let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'gatehouse-supervisor-'))));
after(async () => {
  for (const child of running) child.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

interface Options {
  graceMs?: number;
  again?: boolean;
  environment?: Record<string, string>;
}

/** A supervised program, and what it says. */
async function supervise(program: readonly string[], options: Options = {}) {
  const child = spawn(process.execPath, [harness, JSON.stringify({ environment: {}, ...options }), ...program], {
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
  });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString('latin1')));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString('latin1')));
  const closed = once(child, 'close').then(([code, signal]) => {
    running.delete(child);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout, stderr };
  });
  const said = async (text: string) => {
    while (!stdout.includes(text)) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`ended before "${text}": ${stdout}${stderr}`);
      await sleep(10);
    }
  };
  const startedPid = async () => ((await once(child, 'message')) as [{ started: number }])[0].started;
  const restart = async (environment: Record<string, string>) => {
    child.send(environment);
    return startedPid();
  };
  return { child, closed, said, restart, pid: await startedPid(), output: () => stdout };
}

const node = (script: string) => [process.execPath, '-e', script];
const forever = 'setInterval(() => {}, 1e9);';

async function untilGone(pid: number): Promise<void> {
  for (;;) {
    const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
    if (state.slice(state.lastIndexOf(')') + 2).startsWith('Z')) return;
    await sleep(20);
  }
}

test('exit codes pass through', async () => {
  for (const expected of [0, 1, 3, 42, 255]) {
    const { closed } = await supervise(node(`process.exit(${expected})`));
    const { code, signal } = await closed;
    assert.deepEqual({ code, signal }, { code: expected, signal: null });
  }
});

test('an end by a signal is an end by that signal', async () => {
  for (const expected of ['SIGKILL', 'SIGTERM', 'SIGUSR2', 'SIGPIPE'] as const) {
    const { closed } = await supervise(['/bin/sh', '-c', `kill -${expected.slice(3)} $$`]);
    const { code, signal } = await closed;
    assert.deepEqual({ code, signal }, { code: null, signal: expected });
  }
});

test('signals are passed on, each of them, and the program decides what they mean', async () => {
  const names = [
    'SIGHUP',
    'SIGINT',
    'SIGQUIT',
    'SIGUSR1',
    'SIGUSR2',
    'SIGALRM',
    'SIGWINCH',
    'SIGCONT',
    'SIGTSTP',
  ] as const;
  const { child, closed, said } = await supervise(
    node(`for (const s of ${JSON.stringify([...names, 'SIGTERM'])}) process.on(s, () => {
      console.log('got ' + s); if (s === 'SIGTERM') process.exit(7); });
      console.log('up'); ${forever}`),
  );
  await said('up');
  for (const name of names) {
    child.kill(name);
    await said(`got ${name}`);
  }
  child.kill('SIGTERM');
  assert.equal((await closed).code, 7);
});

test('input and output are untouched, byte for byte, and stay blocking', async () => {
  const input = Buffer.alloc(3_000_000);
  for (let at = 0; at < input.length; at += 1) input[at] = (at * 31 + (at >> 8)) % 256;
  const { child, closed } = await supervise([
    '/bin/sh',
    '-c',
    'grep flags /proc/self/fdinfo/0 /proc/self/fdinfo/1 >&2; cat',
  ]);
  child.stdin?.end(input);
  const { stdout, stderr, code } = await closed;
  assert.equal(code, 0);
  assert.equal(
    createHash('sha256').update(Buffer.from(stdout, 'latin1')).digest('hex'),
    createHash('sha256').update(input).digest('hex'),
  );
  for (const [, flags = ''] of stderr.matchAll(/flags:\s+(\d+)/g))
    assert.equal(Number.parseInt(flags, 8) & 0o4000, 0, stderr);
});

test('a restart gives exactly the new environment: what was removed is gone', async () => {
  const print = node(
    `const { PATH, GATEHOUSE_RUN_ID, ...mine } = process.env; console.log(JSON.stringify(mine)); ${forever}`,
  );
  const { child, closed, said, restart, pid } = await supervise(print, { environment: { A: '1', B: 'two' } });
  await said('{"A":"1","B":"two"}');
  const next = await restart({ B: 'two', C: 'drei\n=x' });
  await said('{"B":"two","C":"drei\\n=x"}');
  assert.notEqual(next, pid);
  await untilGone(pid);
  child.kill('SIGTERM');
  assert.equal((await closed).signal, 'SIGTERM');
});

test('who does not stop within the grace time is killed', async () => {
  const { child, closed, said, restart, pid, output } = await supervise(
    node(`process.on('SIGTERM', () => console.log('not yet')); console.log('up ' + process.env.N); ${forever}`),
    { graceMs: 300, environment: { N: '1' } },
  );
  await said('up 1');
  await restart({ N: '2' });
  await said('up 2');
  await untilGone(pid);
  assert.ok(output().includes('not yet'), 'it was asked first');
  child.kill('SIGKILL');
  await closed;
});

test('what the program started is stopped with it: in its group, in a group of its own, behind a shell', async () => {
  const script = `
    setsid sh -c 'trap "" TERM; echo "away $$"; while :; do sleep 1; done' &
    sh -c 'echo "near $$"; while :; do sleep 1; done' &
    echo up; wait`;
  const { child, closed, said, restart, output } = await supervise(['/bin/sh', '-c', script], { graceMs: 300 });
  for (const text of ['up', 'away', 'near']) await said(text);
  const old = [...output().matchAll(/(?:away|near) (\d+)/g)].map((match) => Number(match[1]));
  assert.equal(old.length, 2);
  await restart({});
  for (const pid of old) await untilGone(pid);
  child.kill('SIGTERM');
  assert.equal((await closed).signal, 'SIGTERM');
  const all = [...output().matchAll(/(?:away|near) (\d+)/g)].map((match) => Number(match[1]));
  for (const pid of all) await untilGone(pid);
});

test('a program that ends leaves nothing behind', async () => {
  const { closed } = await supervise(['/bin/sh', '-c', `setsid sleep 1000 & sleep 1000 & echo "pids $!"; exit 5`], {
    graceMs: 200,
  });
  const { code, stdout } = await closed;
  assert.equal(code, 5);
  await untilGone(Number(/pids (\d+)/.exec(stdout)?.[1]));
});

test('an agent that is killed -9 leaves nothing behind', async () => {
  const script = `setsid sh -c 'echo "away $$"; while :; do sleep 1; done' & echo "near $$"; while :; do sleep 1; done`;
  const { child, closed, said, output } = await supervise(['/bin/sh', '-c', script], { graceMs: 1000 });
  await said('away');
  await said('near');
  child.kill('SIGKILL');
  for (const [, pid] of output().matchAll(/(?:away|near) (\d+)/g)) await untilGone(Number(pid));
  await closed;
});

test('a stop that comes during a restart is the end', async () => {
  const { child, closed, said, pid } = await supervise(
    node(
      `process.on('SIGTERM', () => { console.log('stopping'); setTimeout(() => process.exit(9), 300); }); console.log('up'); ${forever}`,
    ),
  );
  await said('up');
  child.send({ N: '2' });
  await said('stopping');
  child.kill('SIGTERM');
  const { code, stdout } = await closed;
  assert.equal(code, 9);
  assert.equal(stdout.split('up').length - 1, 1, 'it was not started again');
  await untilGone(pid);
});

test('after SIGTERM the program may take its time: no restart cuts it short', async () => {
  const { child, closed, said } = await supervise(
    node(
      `process.on('SIGTERM', () => { console.log('draining'); process.stdin.on('data', () => process.exit(0)); }); console.log('up'); ${forever}`,
    ),
    { graceMs: 50 },
  );
  await said('up');
  child.kill('SIGTERM');
  await said('draining');
  child.send({ N: '2' });
  assert.deepEqual(await once(child, 'message'), [{ started: null }, undefined]);
  child.stdin?.write('done\n');
  assert.equal((await closed).code, 0);
});

test('ended by itself, it is started again when that is wanted', async () => {
  const file = join(folder, 'count');
  await writeFile(file, '');
  const script = `const fs = require('fs'); fs.appendFileSync(${JSON.stringify(file)}, 'x'); if (fs.readFileSync(${JSON.stringify(file)}, 'utf8').length < 3) process.exit(1); console.log('third'); ${forever}`;
  const { child, closed, said } = await supervise(node(script), { again: true });
  await said('third');
  child.kill('SIGTERM');
  assert.equal((await closed).signal, 'SIGTERM');
});

test('a program that is not there, or not one, is an error with what to do', async () => {
  for (const [program, message] of [
    [['no-such-program-here'], /no-such-program-here was not found/],
    [[join(folder, 'plain')], /plain cannot be started \(EACCES\)/],
  ] as const) {
    await writeFile(join(folder, 'plain'), 'not a program', { mode: 0o600 });
    const child = spawn(process.execPath, [harness, '{"environment":{}}', ...program], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    await once(child, 'close');
    assert.match(stderr, message);
  }
});

test('at a terminal the keyboard reaches the program once, and it keeps its terminal', async () => {
  const program = `process.on('SIGINT', () => { n += 1; console.log('int ' + n); setTimeout(() => process.exit(20 + n), 300); }); let n = 0;
    require('fs').closeSync(require('fs').openSync('/dev/tty', 'r')); console.log('up'); ${forever}`;
  const file = join(folder, 'tty.cjs');
  await writeFile(file, program);
  const options = JSON.stringify({ environment: {} }).replaceAll('"', '\\"');
  // exec: a shell in between would get the keyboard's signal too, and end by it.
  const command = `exec ${process.execPath} ${harness} "${options}" ${process.execPath} ${file}`;
  const child = spawn('script', ['-qefc', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  running.add(child);
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const before = stdout;
    stdout += chunk.toString();
    if (!before.includes('up') && stdout.includes('up')) child.stdin.write('\u0003');
  });
  const [code] = (await once(child, 'close')) as [number];
  running.delete(child);
  assert.equal(code, 21, stdout);
  assert.ok(stdout.includes('int 1') && !stdout.includes('int 2'), stdout);
});
