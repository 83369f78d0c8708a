import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { startEmbeddedPostgres } from '../embedded-postgres.ts';
import { processExists } from '../lock.ts';

/** What the fixture says. */
export interface FixtureEvent {
  readonly event: 'ready' | 'refused' | 'failed' | 'stopped' | 'log' | 'interrupted';
  readonly code?: string;
  readonly message?: string;
  readonly level?: string;
  readonly pid?: number;
  readonly connectionString?: string;
}

/** A running fixture-server.ts. */
export interface Fixture {
  readonly pid: number;
  /** All it said so far. */
  readonly events: readonly FixtureEvent[];
  /** The first such event, also a past one. Fails when the program ends without it. */
  event(name: FixtureEvent['event'], matching?: (event: FixtureEvent) => boolean): Promise<FixtureEvent>;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** The whole process group, as a terminal does it. */
  killGroup(signal: NodeJS.Signals): void;
  /** Ends it as it should end. */
  stop(): Promise<void>;
}

export interface FixtureOptions {
  readonly dataDir: string;
  /** Program and arguments in front of `node`. */
  readonly prefix?: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Without fsync: the disk is what tests wait for. */
  readonly ephemeral?: boolean;
  /** As root of a container: with other users, without user namespaces. Needs root. */
  readonly inContainer?: boolean;
  /** Another copy of the fixture, and of node. */
  readonly program?: string;
  readonly node?: string;
}

export const isRoot = process.geteuid?.() === 0;
const fixtureProgram = fileURLToPath(new URL('./fixture-server.ts', import.meta.url));

const running = new Map<Fixture, string>();
const prefix = 'postgres-supervisor-';

// A test run that was killed could not remove its directories. They carry its pid.
for (const name of await readdir(tmpdir())) {
  const [, pid] = /^postgres-supervisor-(\d+)-/.exec(name) ?? [];
  if (pid !== undefined && !processExists(Number(pid))) {
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
}

/** A directory that others may enter, removed after the test (or the file) that asked for it. */
export async function temporaryDirectory(mode = 0o755): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), `${prefix}${process.pid}-`));
  await chmod(path, mode);
  after(async () => {
    for (const [fixture, dataDir] of running) if (dataDir.startsWith(path)) await fixture.stop();
    await rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  });
  return path;
}

/** A data directory with an empty database, made without fsync because the disk is what tests wait for. */
export async function filledDirectory(): Promise<string> {
  const dataDir = await temporaryDirectory();
  await (await startEmbeddedPostgres({ dataDir, ephemeral: true })).stop();
  return dataDir;
}

/** Starts the fixture. It is ended with its directory, whatever became of the test. */
export function startFixture(options: FixtureOptions): Fixture {
  const command = [
    ...(options.inContainer === true ? ['unshare', '--user', '/bin/sh', '-c', containerScript, 'container'] : []),
    ...(options.prefix ?? []),
    options.node ?? process.execPath,
    options.program ?? fixtureProgram,
    options.dataDir,
    ...(options.ephemeral === true ? ['ephemeral'] : []),
  ];
  const [program = '', ...args] = command;
  const child: ChildProcess = spawn(program, args, {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.gid ?? options.uid }),
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  if (options.inContainer === true) void allowUsers(child.pid ?? 0);
  const events: FixtureEvent[] = [];
  let wake: (() => void)[] = [];
  let hasEnded = false;
  const notify = (): void => {
    const waiting = wake;
    wake = [];
    for (const resolve of waiting) resolve();
  };
  assert(child.stdout !== null);
  createInterface(child.stdout).on('line', (line) => {
    events.push(JSON.parse(line) as FixtureEvent);
    notify();
  });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      hasEnded = true;
      running.delete(fixture);
      notify();
      resolve();
    });
  });
  const fixture: Fixture = {
    pid: child.pid ?? 0,
    events,
    async event(name, matching = () => true) {
      for (;;) {
        const found = events.find((event) => event.event === name && matching(event));
        if (found !== undefined) return found;
        assert(!hasEnded, `the fixture ended without "${name}": ${JSON.stringify(events)}`);
        await new Promise<void>((resolve) => void wake.push(resolve));
      }
    },
    async kill(signal) {
      child.kill(signal);
      await ended;
    },
    killGroup(signal) {
      process.kill(-fixture.pid, signal);
    },
    async stop() {
      child.stdin?.end();
      await ended;
    },
  };
  running.set(fixture, options.dataDir);
  return fixture;
}

/** Waits until it has users, becomes root (with root's capabilities, but in the container), switches user namespaces off. */
const containerScript = `
until grep -q . /proc/self/uid_map && grep -q . /proc/self/gid_map; do sleep 0.01; done
exec setpriv --reuid=0 --regid=0 --clear-groups /bin/sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' container "$@"
`;

/** Gives the process, once it has its user namespace, the users 0 to 69,999 of this machine. */
async function allowUsers(pid: number): Promise<void> {
  const own = await readlink('/proc/self/ns/user');
  await until(async () => (await readlink(`/proc/${pid}/ns/user`)) !== own, 'the user namespace is there');
  await writeFile(`/proc/${pid}/gid_map`, '0 0 70000\n');
  await writeFile(`/proc/${pid}/uid_map`, '0 0 70000\n');
}

/** Starts the fixture and returns when its database takes connections. */
export async function startReady(
  options: FixtureOptions,
): Promise<Fixture & { connectionString: string; postgresPid: number }> {
  const fixture = startFixture(options);
  const first = await Promise.race([fixture.event('ready'), fixture.event('refused')]);
  assert.equal(first.event, 'ready', JSON.stringify(first));
  return { ...fixture, connectionString: first.connectionString ?? '', postgresPid: first.pid ?? 0 };
}

/** Runs one statement. */
export async function query(connectionString: string, text: string, values: unknown[] = []): Promise<unknown[]> {
  const client = new Client({ connectionString });
  client.on('error', () => undefined); // Told by the query that fails.
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Waits for a condition; the bound only keeps a broken test from hanging. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    assert(Date.now() < deadline, `waited in vain until ${what}`);
    await delay(10);
  }
}

/** The processes whose command line holds the text. */
export async function processesWith(text: string): Promise<{ pid: number; command: string }[]> {
  const found: { pid: number; command: string }[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (command.includes(text)) found.push({ pid: Number(name), command: command.replaceAll('\0', ' ') });
  }
  return found;
}

/** Sends a signal to a process that may have gone. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}

/** Runs a program to its end and expects it to succeed. */
export async function command(program: string, ...args: string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  assert.equal(exitCode, 0, `${program} ${args.join(' ')}`);
}
