import { chmod, mkdir, readFile, readlink, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { clusterPath } from './cluster.ts';
import { EmbeddedPostgresError, pathError, systemErrorCode } from './error.ts';
import { type DataDirLock, isAlive, isPidTaken, type LockHolder, processExists, tryLock } from './lock.ts';
import type { PostgresLog } from './server.ts';

/** How long an orphaned server may take for its own clean end before it is asked to, and then made to. */
const askAfterMs = 2_000;
const insistAfterMs = 20_000;
const killAfterMs = 40_000;
const giveUpAfterMs = 60_000;
/** A holder in another container cannot be asked whether it lives; one that just ends is waited for. */
const otherContainerMs = 3_000;
const pollMs = 50;

/** Makes `<dataDir>/postgres`. Others may pass through it when we are root: the server then runs as another user. */
export async function makeDirectory(dataDir: string): Promise<string> {
  const directory = join(dataDir, 'postgres');
  try {
    // The root key lies here too: under a loose umask others could put another file in its place.
    await mkdir(dataDir, { recursive: true, mode: 0o755 });
    await mkdir(directory).catch((cause: unknown) => {
      if (systemErrorCode(cause) !== 'EEXIST') throw cause;
    });
    if (!(await stat(directory)).isDirectory()) {
      throw Object.assign(new Error(`${directory} is a file`), { code: 'ENOTDIR' });
    }
    await chmod(directory, process.geteuid?.() === 0 ? 0o711 : 0o700);
  } catch (cause) {
    throw pathError(directory, cause);
  }
  return directory;
}

/**
 * Makes the directory ours. A live holder is named and left alone. What a dead one left behind is waited for: its
 * PostgreSQL is shutting down by itself (child.ts), or is asked to if its watchdog was killed as well.
 */
export async function takeDirectory(directory: string, log: PostgresLog): Promise<DataDirLock> {
  const begin = Date.now();
  let sent: NodeJS.Signals | undefined;
  for (;;) {
    const lock = await tryLock(join(directory, 'lock')).catch((cause: unknown) => {
      throw pathError(directory, cause);
    });
    if ('fd' in lock) {
      try {
        await clearStalePid(directory, log);
      } catch (cause) {
        await lock.release();
        throw cause;
      }
      return lock;
    }
    const waitedMs = Date.now() - begin;
    assertHolderGone(directory, lock.takenBy, waitedMs);
    const due = waitedMs > killAfterMs ? 'SIGKILL' : waitedMs > insistAfterMs ? 'SIGQUIT' : 'SIGINT';
    if (waitedMs > askAfterMs && due !== sent) {
      const orphan = await findPostmaster(clusterPath(directory));
      if (orphan !== undefined) {
        log.warn({ pid: orphan, signal: due }, 'stopping a PostgreSQL whose Gatehouse process is gone');
        signal(orphan, due);
      }
      sent = due;
    }
    await delay(pollMs);
  }
}

function assertHolderGone(directory: string, holder: LockHolder | undefined, waitedMs: number): void {
  const alive = holder === undefined ? false : isAlive(holder);
  const elsewhere = alive === undefined && waitedMs > otherContainerMs;
  if (alive !== true && !elsewhere && waitedMs < giveUpAfterMs) return;
  const who =
    holder === undefined
      ? 'another process'
      : holder.pid === process.pid && alive === true
        ? `this process (${holder.pid})`
        : `process ${holder.pid}${elsewhere ? ` on ${holder.host}` : ''}`;
  throw new EmbeddedPostgresError(
    'in_use',
    `The data directory ${directory} is in use by ${who}. Stop that one first, or give each its own GATEHOUSE_DATA_DIR; several nodes share one database through GATEHOUSE_DATABASE_URL.`,
    holder === undefined ? {} : { pid: holder.pid },
  );
}

/**
 * The lock is ours, so no server of ours runs. PostgreSQL itself would still refuse when the pid in a left-over
 * `postmaster.pid` belongs to anything: to another program, or to the dead server's zombie where no init collects it; both
 * are common in containers. A server that somebody started by hand is real, though.
 */
async function clearStalePid(directory: string, log: PostgresLog): Promise<void> {
  const cluster = clusterPath(directory);
  const begin = Date.now();
  let pid = await findPostmaster(cluster);
  while (pid !== undefined && Date.now() - begin < otherContainerMs) {
    await delay(pollMs);
    pid = await findPostmaster(cluster);
  }
  if (pid !== undefined) {
    throw new EmbeddedPostgresError(
      'in_use',
      `A PostgreSQL server (process ${pid}) that Gatehouse did not start runs on ${cluster}. Stop it with: kill -INT ${pid}`,
      { pid },
    );
  }
  const stale = await readPostmasterPid(cluster);
  if (stale !== undefined && isPidTaken(stale)) {
    log.info({ pid: stale }, 'removing the postmaster.pid of a server that is gone, whose pid is taken');
    await rm(join(cluster, 'postmaster.pid'), { force: true });
  }
}

/** The live postmaster of the cluster. Its working directory is the cluster, which no other program's is. */
async function findPostmaster(cluster: string): Promise<number | undefined> {
  const pid = await readPostmasterPid(cluster);
  if (pid === undefined || !processExists(pid)) return undefined;
  if (process.platform !== 'linux') return pid;
  try {
    return (await readlink(`/proc/${pid}/cwd`)) === (await realpath(cluster)) ? pid : undefined;
  } catch {
    return undefined; // Of another user, or gone.
  }
}

async function readPostmasterPid(cluster: string): Promise<number | undefined> {
  const [first] = (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const pid = Math.abs(Number(first));
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has just gone.
  }
}
