/** Starting and ending the programs of the demo. Whatever happens, none of them is left running. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';

/** A running program. */
export interface Program {
  readonly pid: number;
  /** Asks it to end (SIGTERM) and waits; a program that does not end in time is killed, and that is an error. */
  stop(): Promise<void>;
}

/** How a program is started. */
export interface ProgramOptions {
  name: string;
  script: string;
  cwd: string;
  env: Record<string, string>;
  /** What it prints when it serves. */
  readyText: RegExp;
}

const readyMilliseconds = 40_000;
const stopMilliseconds = 30_000;
const running = new Set<ChildProcess>();

// The last net: a demo that is interrupted or fails takes its programs along. They end their own children.
process.on('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});

/** Starts a Node program and waits until it says that it is ready. */
export async function startProgram({ name, script, cwd, env, readyText }: ProgramOptions): Promise<Program> {
  const child = spawn(process.execPath, [script], { cwd, env: { ...baseEnvironment(), ...env } });
  running.add(child);
  let output = '';
  child.once('exit', () => running.delete(child));
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`${name} ${why}. It said:\n${output.slice(-4000)}`));
    const timer = setTimeout(() => fail('was not ready in time'), readyMilliseconds);
    const read = (chunk: Buffer) => {
      output += chunk.toString();
      if (!readyText.test(output)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('error', (error) => fail(`could not be started (${error.message})`));
    child.once('exit', (code) => {
      clearTimeout(timer);
      fail(`ended with ${code}`);
    });
  });
  return {
    pid: child.pid ?? 0,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`${name} had ended by itself (${child.exitCode ?? child.signalCode}):\n${output.slice(-4000)}`);
      }
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), stopMilliseconds);
      await ended;
      clearTimeout(timer);
      if (child.exitCode !== 0) {
        throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode}:\n${output.slice(-4000)}`);
      }
    },
  };
}

/** Runs a program to its end. */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: { cwd: string; env?: Record<string, string> },
): Promise<{ exitCode: number; output: string }> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...baseEnvironment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let output = '';
  const read = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  const [exitCode] = (await once(child, 'close')) as [number | null];
  running.delete(child);
  return { exitCode: exitCode ?? 1, output };
}

/** A port of loopback that is free now, below those the system gives out by itself. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
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

/** Of the caller's environment only what a program needs to run: a setting meant for another server must not leak in. */
function baseEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => !/^(GATEHOUSE_|RECORDS_|NODE_OPTIONS$)/.test(name));
  return Object.fromEntries(kept.filter((entry): entry is [string, string] => entry[1] !== undefined));
}
