import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CliError } from '../errors.ts';

/**
 * Where an agent keeps its keys and copies when nobody says: `/var/lib/gatehouse/<service>` for root, else
 * `$XDG_STATE_HOME/gatehouse/<service>` (XDG Base Directory Specification), else `~/.local/state/gatehouse/<service>`.
 */
export function defaultStateDir(
  service: string,
  env: Readonly<Record<string, string | undefined>>,
  uid: number,
): string {
  const stateHome = env['XDG_STATE_HOME'];
  const isAbsolute = stateHome?.startsWith('/') === true;
  const base =
    uid === 0 && !isAbsolute ? '/var/lib' : isAbsolute ? stateHome : join(env['HOME'] || homedir(), '.local/state');
  return join(base, 'gatehouse', service);
}

/**
 * Takes a state folder for this process: two agents in one folder would be one to the server. Returns how to give it
 * back; a process that died has given it back. Throws a {@link CliError} when another one has it.
 */
export async function takeStateDir(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    throw new CliError('cli.file', `The state folder ${folder} cannot be made (${error.code}).`, {
      fix: 'name one that this user may write by --state-dir',
    });
  });
  const lock = join(folder, 'lock');
  const mine = join(folder, `${randomUUID()}.tmp`);
  const content = JSON.stringify({ pid: process.pid, started: await startOf(process.pid) });
  try {
    await writeFile(mine, content, { mode: 0o600, flag: 'wx' });
    for (let attempt = 0; ; attempt += 1) {
      try {
        await link(mine, lock);
        return async () => {
          if ((await readFile(lock, 'utf8').catch(() => '')) === content) await rm(lock, { force: true });
        };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = await holderOf(lock);
      if (holder !== undefined || attempt > 20) {
        throw new CliError('cli.file', `The state folder ${folder} is in use by process ${holder ?? 'unknown'}.`, {
          fix: 'each instance has a folder of its own: give this one another by --state-dir',
        });
      }
      await rm(lock, { force: true });
    }
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(
      'cli.file',
      `The state folder ${folder} cannot be used (${(error as NodeJS.ErrnoException).code}).`,
      {
        fix: 'check that this user owns it, or name another by --state-dir',
        cause: error,
      },
    );
  } finally {
    await rm(mine, { force: true }).catch(() => undefined);
  }
}

/** The live process that holds a lock. */
async function holderOf(lock: string): Promise<number | undefined> {
  let holder: { pid?: unknown; started?: unknown };
  try {
    holder = JSON.parse(await readFile(lock, 'utf8')) as typeof holder;
  } catch {
    return undefined;
  }
  const { pid, started } = holder;
  if (typeof pid !== 'number' || pid === process.pid) return undefined;
  return (await startOf(pid)) === started && started !== '' ? pid : undefined;
}

/** What tells a process from a later one with its number: its start, in ticks since the boot, and the boot. */
async function startOf(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1');
    return `${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]} ${boot.trim()}`;
  } catch {
    // Without /proc: that it lives has to do.
    if (process.platform === 'linux') return '';
    try {
      process.kill(pid, 0);
      return 'alive';
    } catch {
      return '';
    }
  }
}
