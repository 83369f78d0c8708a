/** Starting and ending real programs. Whatever a journey does, none of them outlives it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const root = fileURLToPath(new URL('../../../..', import.meta.url));

/** A program that was started. */
export interface Program {
  readonly pid: number;
  /** Everything it has written to standard output and standard error so far. */
  output(): string;
  isRunning(): boolean;
  /** SIGTERM; rejects unless it ends with 0 in time. */
  stop(): Promise<void>;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
}

const readySeconds = 60;
const stopSeconds = 40;
const running = new Set<ChildProcess>();

// The last net: a journey that breaks takes its programs along.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a TypeScript program of the repository and waits until it says `readyText`. */
export async function startProgram(options: {
  name: string;
  /** Relative to the repository. */
  script: string;
  cwd: string;
  env: Record<string, string>;
  readyText: RegExp;
}): Promise<Program> {
  const { name } = options;
  const child = spawn(process.execPath, [`${root}/${options.script}`], {
    cwd: options.cwd,
    env: { ...plainEnvironment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let output = '';
  const closed = once(child, 'close');
  child.once('close', () => running.delete(child));
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => {
      child.kill('SIGKILL');
      reject(new Error(`${name} ${why}. It said:\n${output.slice(-6000)}`));
    };
    const timer = setTimeout(() => fail(`was not ready in ${readySeconds} s`), readySeconds * 1000);
    const read = (chunk: Buffer) => {
      output += chunk.toString();
      if (!options.readyText.test(output)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('error', (error) => fail(`could not be started (${error.message})`));
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      fail(`ended with ${code ?? signal}`);
    });
  });
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid ?? 0,
    output: () => output,
    isRunning,
    async stop() {
      if (!isRunning()) throw new Error(`${name} had ended by itself:\n${output.slice(-6000)}`);
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), stopSeconds * 1000);
      await closed;
      clearTimeout(timer);
      if (child.exitCode !== 0) {
        throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode}:\n${output.slice(-6000)}`);
      }
    },
    async kill() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/** Runs a TypeScript program of the repository to its end. */
export async function runProgram(
  script: string,
  args: readonly string[],
  options: { cwd: string; env: Record<string, string> },
): Promise<{ exitCode: number; output: string }> {
  const child = spawn(process.execPath, [`${root}/${script}`, ...args], {
    cwd: options.cwd,
    env: { ...plainEnvironment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  running.delete(child);
  return { exitCode: exitCode ?? 1, output };
}

/** A port of loopback that is free now, below those the system gives out by itself. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const server = createServer();
    const wanted = 20_000 + Math.floor(Math.random() * 12_000);
    const port = await new Promise<number | undefined>((resolve) => {
      server.once('error', () => resolve(undefined));
      server.listen(wanted, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    });
    if (port === undefined) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error('no free port was found');
}

/** Processes that work in `folder` or name it on their command line: pid → command. */
export async function processesOf(folder: string): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const command = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim();
    const cwd = await readlink(`/proc/${name}/cwd`).catch(() => '');
    if (command.includes(folder) || cwd.startsWith(folder)) found.set(Number(name), command);
  }
  return found;
}

/** Of our environment only what a program needs to run: a setting meant for another server must not leak in. */
function plainEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(GATEHOUSE_|RECORDS_|NODE_OPTIONS$|NODE_TEST)/.test(name),
  );
  return Object.fromEntries(kept.filter((entry): entry is [string, string] => entry[1] !== undefined));
}
