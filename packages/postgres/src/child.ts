import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Identity } from './identity.ts';

/** Makes a program run as somebody, in an environment that holds nothing of ours (no root key, no password). */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly identity: Identity;
  readonly libraryPath: string | undefined;
  /** The open lock file. The child inherits it, so the directory stays locked while any of its processes lives. */
  readonly lockFd: number;
  /** Text for the child's standard input; nothing (`/dev/null`) when absent. */
  readonly input?: string;
}

/** A child process that does not outlive this one. */
export interface Child {
  /** Of the program itself: it is this process's direct child. */
  readonly pid: number;
  /** Fulfilled when the program has ended; never rejected. */
  readonly ended: Promise<Ending>;
  kill(signal: NodeJS.Signals): void;
  /** Everything it says on standard error and output, line by line. */
  onLine(handler: (line: string) => void): void;
  /** Whether the child alone keeps this process's event loop running. */
  ref(): void;
  unref(): void;
}

export interface Ending {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not even be started. */
  readonly error?: Error;
}

/**
 * The child must end when we end, however we end: `kill -9` gives us no chance to tell it. So before the program starts,
 * a shell of a megabyte begins to read from a pipe whose other end only we hold. When the pipe closes without the word
 * "done", we are gone, and it sends the program SIGINT: for PostgreSQL the fast, clean shutdown, with every commit kept.
 * It is forked twice, because the postmaster would take an unknown child for one of its own. `$$` is the program's pid:
 * the shell becomes the program. Descriptor 3 is the lock, 4 the pipe.
 */
const watchdogScript = `
( ( read -r word <&4; [ "$word" = done ] || kill -INT $$ ) </dev/null >/dev/null 2>&1 3>&- & )
if [ -n "$LIBRARIES" ]; then export LD_LIBRARY_PATH="$LIBRARIES" DYLD_LIBRARY_PATH="$LIBRARIES"; fi
exec "$@" 4<&-
`;

/** Starts a program under the watchdog, in a session of its own, so that a terminal's Ctrl-C does not reach it. */
export function launch({ command, args, identity, libraryPath, lockFd, input }: Launch): Child {
  const shell = ['/bin/sh', '-c', watchdogScript, 'gatehouse-postgres', command, ...args];
  const [program = '', ...rest] = [...identity.prefix, ...shell];
  const child = spawn(program, rest, {
    cwd: '/',
    detached: true,
    env: environment(libraryPath),
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', lockFd, 'pipe'],
    ...identity.drop,
  });
  const lifeline = child.stdio[4] as Socket;
  lifeline.on('error', () => undefined); // The watchdog may be gone already.
  if (input !== undefined) {
    child.stdin?.on('error', () => undefined); // A program that ended early is reported by how it ended.
    child.stdin?.end(input);
  }
  const ended = new Promise<Ending>((resolve) => {
    child.once('error', (error) => resolve({ exitCode: null, signal: null, error }));
    // 'close', not 'exit': its last words have been read by then.
    child.once('exit', () => lifeline.end('done\n'));
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal }));
  });
  return {
    pid: child.pid ?? 0,
    ended,
    kill: (signal) => {
      child.kill(signal);
    },
    onLine: (handler) => {
      for (const stream of [child.stdout, child.stderr]) if (stream !== null) readLines(stream, handler);
    },
    ref: () => referTo(child, 'ref'),
    unref: () => referTo(child, 'unref'),
  };
}

/** A program's ending and its last words. */
export interface Outcome extends Ending {
  readonly output: string;
}

/** Runs a program to its end. */
export async function run(options: Launch): Promise<Outcome> {
  const child = launch(options);
  const lines: string[] = [];
  child.onLine((line) => {
    lines.push(line);
    if (lines.length > 200) lines.shift();
  });
  const ending = await child.ended;
  return { ...ending, output: lines.join('\n') };
}

/** A fixed environment: the same result under every locale and time zone, and no secret of ours in `/proc`. */
function environment(libraryPath: string | undefined): NodeJS.ProcessEnv {
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C',
    TZ: 'UTC',
    LIBRARIES: libraryPath ?? '', // Exported by the script: macOS takes DYLD_* from whatever starts its own sh.
  };
}

function readLines(stream: NodeJS.ReadableStream, handler: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') handler(line);
  });
  stream.on('end', () => {
    if (rest !== '') handler(rest);
  });
}

function referTo(child: ChildProcess, method: 'ref' | 'unref'): void {
  child[method]();
  for (const stream of child.stdio) if (stream !== null && stream !== undefined) (stream as Socket)[method]();
}
