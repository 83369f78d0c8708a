import { spawn } from 'node:child_process';
import { CliError } from '../errors.ts';
import { timerMs } from './durations.ts';
import type { Exit } from './exit.ts';
import { endFamily, type Family, markerVariable, signalProcess } from './processes.ts';

/** What is started. */
export interface Program {
  readonly file: string;
  readonly args: readonly string[];
}

/** A running program, its output and input untouched. */
export interface Child {
  readonly pid: number;
  readonly family: Family;
  /** How it ended, as soon as it has; what it left behind may still run. */
  readonly exited: Promise<Exit>;
  /** Passes a signal on to the program itself, not to what it started: as if there were nobody in between. */
  signal(signal: NodeJS.Signals): void;
  /** Stop signal, grace time, SIGKILL to all that belongs to it; resolves when nothing of it is left. */
  stop(how: StopOptions): Promise<Exit>;
}

/** How a child is ended. */
export interface StopOptions {
  readonly signal: NodeJS.Signals;
  readonly graceMs: number;
}

/**
 * Starts a program with exactly this environment and our stdin, stdout and stderr.
 *
 * It becomes leader of a session and group of its own, so that it can be ended with all it started. At a terminal
 * (`foreground`) it stays in ours, or the keyboard would not reach it; there its family is known by the marker only.
 * Rejects with a {@link CliError} when it cannot be started.
 */
export async function startChild({
  program,
  environment,
  marker,
  foreground,
  now,
}: {
  program: Program;
  environment: Readonly<Record<string, string>>;
  marker: string;
  foreground: boolean;
  now: () => number;
}): Promise<Child> {
  const started = spawn(program.file, [...program.args], {
    stdio: 'inherit',
    detached: !foreground,
    env: { ...environment, [markerVariable]: marker },
  });
  const exited = new Promise<Exit>((resolve) => {
    started.once('exit', (code, signal) => resolve(signal === null ? { code: code ?? 0 } : { signal }));
  });
  await new Promise<void>((resolve, reject) => {
    started.once('spawn', resolve);
    started.once('error', (error: NodeJS.ErrnoException) => reject(startError(program.file, error)));
  });
  const pid = started.pid as number;
  const family: Family = { group: foreground ? undefined : pid, marker };
  let isOver = false;
  void exited.then(() => (isOver = true));

  return {
    pid,
    family,
    exited,
    signal(signal) {
      if (!isOver) signalProcess(pid, signal);
    },
    async stop({ signal, graceMs }) {
      const deadlineMs = now() + graceMs;
      if (!isOver) signalProcess(pid, signal);
      // A stopped process handles no signal until it goes on.
      if (!isOver) signalProcess(pid, 'SIGCONT');
      if (!(await endsWithin(exited, graceMs))) {
        if (family.group !== undefined) signalProcess(-family.group, 'SIGKILL');
        signalProcess(pid, 'SIGKILL');
      }
      const exit = await exited;
      await endFamily(family, { deadlineMs, now });
      return exit;
    },
  };
}

async function endsWithin(exited: Promise<Exit>, graceMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timerMs(graceMs));
  });
  const inTime = await Promise.race([exited.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}

/** Exit codes of shells: 127 not found, 126 cannot be run (POSIX 2.8.2). */
function startError(file: string, error: NodeJS.ErrnoException): CliError {
  const missing = error.code === 'ENOENT';
  return new CliError(
    missing ? 'cli.command_not_found' : 'cli.command_not_run',
    missing ? `${file} was not found.` : `${file} cannot be started (${error.code ?? error.message}).`,
    {
      fix: missing
        ? 'check the name and the PATH; a program is started without a shell'
        : error.code === 'E2BIG'
          ? 'the configuration is too large for an environment; read it from a file: gatehouse agent'
          : 'check that it is executable, and its first line if it is a script',
      cause: error,
    },
  );
}
