import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { EmbeddedPostgresError, systemErrorCode } from './error.ts';

/**
 * The lock of a data directory: a `flock` on a file, held by this process and inherited by every process of its
 * PostgreSQL. So it is free exactly when none of them lives any more; it needs no clean-up after `kill -9`, is not fooled
 * by a pid that was given to another process, and holds between containers that share a volume, where PostgreSQL's own
 * `postmaster.pid` does not.
 */
export interface DataDirLock {
  /** Handed on to child processes. */
  readonly fd: number;
  release(): Promise<void>;
}

/** Who took the lock, as written into the file for whoever finds it taken. */
export interface LockHolder {
  readonly pid: number;
  /** Clock ticks from boot to its start: a pid alone may have been given to another process since. */
  readonly startedTicks: string | undefined;
  /** Of the container; a pid means nothing in another one. */
  readonly pidNamespace: string | undefined;
  readonly host: string;
}

/** Takes the lock, or returns who has it (undefined when that is not written yet). */
export async function tryLock(path: string): Promise<DataDirLock | { takenBy: LockHolder | undefined }> {
  const handle = await open(path, 'a+', 0o600);
  try {
    if (await isTaken(handle, path)) {
      const takenBy = await readHolder(path);
      await handle.close();
      return { takenBy };
    }
    await handle.truncate(0);
    await handle.write(`${JSON.stringify(thisProcess())}\n`);
  } catch (cause) {
    await handle.close();
    throw cause;
  }
  return { fd: handle.fd, release: () => handle.close() };
}

/** Whether the process that wrote itself into the lock still runs. Undefined: it is of another container. */
export function isAlive(holder: LockHolder): boolean | undefined {
  const here = thisProcess();
  if (holder.host !== here.host || holder.pidNamespace !== here.pidNamespace) return undefined;
  return processExists(holder.pid) && holder.startedTicks === startedTicks(holder.pid);
}

/** Whether a process of that pid runs. A zombie, whose parent has not asked about its end yet, does not. */
export function processExists(pid: number): boolean {
  return isPidTaken(pid) && statFields(pid)?.[0] !== 'Z';
}

/** Whether the pid belongs to anything, a zombie too. */
export function isPidTaken(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return systemErrorCode(cause) === 'EPERM';
  }
}

/** Runs flock(1) on our open file: the lock belongs to the open file, so it stays when the program has ended. */
async function isTaken(handle: FileHandle, path: string): Promise<boolean> {
  const exitCode = await new Promise<number | null | 'absent'>((resolve) => {
    const child = spawn('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', handle.fd] });
    child.once('error', () => resolve('absent'));
    child.once('exit', resolve);
  });
  if (exitCode === 0) return false;
  if (exitCode === 1) return true;
  if (exitCode === 'absent') {
    // macOS has no flock(1). The name in the file and PostgreSQL's own postmaster.pid have to do.
    const holder = await readHolder(path);
    return holder !== undefined && holder.pid !== process.pid && isAlive(holder) !== false;
  }
  throw new EmbeddedPostgresError(
    'data_dir_unusable',
    `The file ${path} cannot be locked (flock ended with ${exitCode}). Put the data directory on a file system with locks.`,
  );
}

async function readHolder(path: string): Promise<LockHolder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as LockHolder;
  } catch {
    return undefined; // Its holder is just writing it.
  }
}

function thisProcess(): LockHolder {
  return { pid: process.pid, startedTicks: startedTicks(process.pid), pidNamespace: pidNamespace(), host: hostname() };
}

function startedTicks(pid: number): string | undefined {
  return statFields(pid)?.[19];
}

/** proc_pid_stat(5) from field 3, the state, on; the second one is the name in parentheses and may hold anything. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined; // No /proc.
  }
}

function pidNamespace(): string | undefined {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return undefined;
  }
}
