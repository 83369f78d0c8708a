import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Child, type Ending, launch } from './child.ts';
import { type ClusterContext, clusterPath } from './cluster.ts';
import { EmbeddedPostgresError } from './error.ts';
import { failureOf, isRoutine } from './output.ts';

/** What the supervisor writes to; a pino logger is one. */
export interface PostgresLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A server that is restarted when it dies. */
export interface SupervisedServer {
  readonly pid: number;
  /** Clean shutdown: running transactions are rolled back, everything committed is on disk. */
  stop(): Promise<void>;
}

interface ServerOptions {
  readonly context: ClusterContext;
  readonly settings: readonly string[];
  readonly log: PostgresLog;
  /** Called once, when the server died too often and stays down. */
  readonly onFailed: (error: EmbeddedPostgresError) => void;
}

/** A server that dies this often within the window is not restarted again. */
const maxRestarts = 5;
const restartWindowMs = 60_000;
/** After a crash the server replays its log before it is ready; only a very large one takes minutes. */
const startTimeoutMs = 300_000;
/** Backends of a killed postmaster end within a second or so; until then a new one refuses to start. */
const oldBackendsTimeoutMs = 15_000;
const fastShutdownTimeoutMs = 60_000;
const immediateShutdownTimeoutMs = 10_000;
const pollMs = 10;

/** Starts the server, waits until it takes connections, and keeps it running until `stop()`. */
export async function superviseServer({ context, settings, log, onFailed }: ServerOptions): Promise<SupervisedServer> {
  const abort = new AbortController();
  let child: Child | undefined;
  let stopped: Promise<void> | undefined;
  const restarts: number[] = [];

  const start = async (): Promise<Child> => {
    const patience = Date.now() + oldBackendsTimeoutMs;
    for (;;) {
      const attempt = startOnce(context, settings, log, abort.signal, (started) => {
        child = started;
      });
      try {
        return await attempt;
      } catch (error) {
        const waits = error instanceof OldServerRemains && Date.now() < patience && !abort.signal.aborted;
        if (!waits) throw error instanceof OldServerRemains ? error.error : error;
        await delay(100);
        abort.signal.throwIfAborted();
      }
    }
  };

  const keepRunning = async (first: Child): Promise<void> => {
    for (let running = first; ; ) {
      running.unref();
      const ending = await running.ended;
      if (abort.signal.aborted) return;
      log.error({ pid: running.pid, ...ending }, 'PostgreSQL ended unexpectedly, starting it again');
      running = await restart(ending.signal ?? `exit code ${ending.exitCode}`);
      log.warn({ pid: running.pid }, 'PostgreSQL runs again');
    }
  };

  /** One that dies while it starts has died once more; a refusal with a reason of its own (disk full) is final. */
  const restart = async (lastEnd: string): Promise<Child> => {
    for (let reason = lastEnd; ; ) {
      const now = Date.now();
      while (restarts[0] !== undefined && restarts[0] < now - restartWindowMs) restarts.shift();
      if (restarts.length >= maxRestarts) throw keepsCrashing(context.directory, restarts.length + 1, reason);
      // At once the first time, then with growing pauses.
      await delay(restarts.length === 0 ? 0 : 100 * 2 ** restarts.length);
      abort.signal.throwIfAborted();
      restarts.push(now);
      try {
        return await start();
      } catch (error) {
        if (!(error instanceof EmbeddedPostgresError) || error.code !== 'start_failed') throw error;
        log.error({ err: error }, 'PostgreSQL ended while it started, starting it again');
        reason = error.message;
      }
    }
  };

  keepRunning(await start()).catch((error: unknown) => {
    if (!abort.signal.aborted) onFailed(failedRestart(error));
  });
  return {
    get pid() {
      return child?.pid ?? 0;
    },
    stop() {
      abort.abort();
      stopped ??= child === undefined ? Promise.resolve() : shutDown(child, log);
      return stopped;
    },
  };
}

function keepsCrashing(directory: string, times: number, reason: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    'keeps_crashing',
    `PostgreSQL on ${directory} died ${times} times within ${restartWindowMs / 1000} s (last: ${reason}) and is not started again. Its log above says why; nothing committed is lost.`,
  );
}

function failedRestart(error: unknown): EmbeddedPostgresError {
  if (error instanceof EmbeddedPostgresError) return error;
  return new EmbeddedPostgresError('start_failed', 'PostgreSQL could not be started again.', { cause: error });
}

/** The server did not start because processes of the one before it are still there. */
class OldServerRemains extends Error {
  readonly error: EmbeddedPostgresError;

  constructor(error: EmbeddedPostgresError) {
    super(error.message);
    this.error = error;
  }
}

async function startOnce(
  context: ClusterContext,
  settings: readonly string[],
  log: PostgresLog,
  abort: AbortSignal,
  onLaunched: (child: Child) => void,
): Promise<Child> {
  const cluster = clusterPath(context.directory);
  const child = launch({
    command: context.runtime.binaries.postgres,
    args: ['-D', cluster, ...settings],
    identity: context.runtime.identity,
    libraryPath: context.runtime.libraryPath,
    lockFd: context.lockFd,
  });
  onLaunched(child);
  const recent: string[] = [];
  child.onLine((line) => {
    recent.push(line);
    if (recent.length > 50) recent.shift();
    writeLine(log, line);
  });
  let ending: Ending | undefined;
  void child.ended.then((value) => {
    ending = value;
    return undefined;
  });
  const deadline = Date.now() + startTimeoutMs;
  while (!(await isReady(cluster, child.pid))) {
    if (ending !== undefined) {
      if (abort.aborted) throw new EmbeddedPostgresError('stopped', 'PostgreSQL was stopped while it started.');
      const output = recent.join('\n');
      const error = failureOf('start_failed', 'postgres', { ...ending, output }, context.directory);
      throw /is still in use|lock file .* already exists/.test(output) ? new OldServerRemains(error) : error;
    }
    if (Date.now() > deadline) {
      await shutDown(child, log);
      throw new EmbeddedPostgresError(
        'start_failed',
        `PostgreSQL on ${context.directory} was not ready after ${startTimeoutMs / 1000} s. Its log above says what it was doing.`,
      );
    }
    await delay(pollMs);
  }
  return child;
}

/** The postmaster writes its state into line 8 of `postmaster.pid`; `pg_ctl` waits for the same word. */
async function isReady(cluster: string, pid: number): Promise<boolean> {
  const lines = (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return lines[0] === String(pid) && lines[7]?.trim() === 'ready';
}

/** SIGINT: fast, clean. SIGQUIT: at once, the log is replayed at the next start. Neither loses a commit. */
async function shutDown(child: Child, log: PostgresLog): Promise<void> {
  child.ref();
  const ended = child.ended.then(() => true);
  child.kill('SIGINT');
  if (await within(fastShutdownTimeoutMs, ended)) return;
  log.warn({ pid: child.pid }, 'PostgreSQL did not shut down in time, ending it at once');
  child.kill('SIGQUIT');
  if (await within(immediateShutdownTimeoutMs, ended)) return;
  child.kill('SIGKILL');
  await ended;
}

async function within(milliseconds: number, ended: Promise<boolean>): Promise<boolean> {
  const timer = new AbortController();
  const late = delay(milliseconds, false, { signal: timer.signal }).catch(() => false);
  const result = await Promise.race([ended, late]);
  timer.abort();
  return result;
}

/** A backend or the whole server went down, or the disk is full: worth an operator's look. */
const notable = /terminated by signal|terminating any other|reinitializing|automatic recovery|No space left|PANIC/;
function writeLine(log: PostgresLog, line: string): void {
  const [, severity = 'LOG', text = line] = /^([A-Z]+):\s+(.*)$/.exec(line) ?? [];
  const fields = { component: 'postgres' };
  if (severity === 'PANIC') log.error(fields, text);
  else if ((severity === 'FATAL' && !isRoutine(text)) || notable.test(text)) log.warn(fields, text);
  else log.debug(fields, text);
}
