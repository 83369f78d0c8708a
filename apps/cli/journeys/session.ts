/** A server process on a database of its own, and the real program at its side. For the tests of this folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createEmptyTestDatabase } from '@gatehouse/testkit';

/** The repository. */
export const root = fileURLToPath(new URL('../../..', import.meta.url));
/** The program as it is installed. */
export const launcher = join(root, 'apps/cli/bin/gatehouse.js');

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Name and password of the first operator. */
export const operator = { username: 'root-operator', password: 'lantern orchard pebble 4711' };

/** Runs the launcher with `node`, by default the one that runs the tests. */
export async function runGatehouse(
  args: readonly string[],
  {
    env = {},
    stdin = '',
    node = process.execPath,
    cwd = root,
  }: { env?: Record<string, string>; stdin?: string; node?: string; cwd?: string } = {},
): Promise<Ended> {
  const child = spawn(node, [launcher, ...args], { cwd, env: { PATH: process.env['PATH'] ?? '', ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on('error', () => undefined); // the program may end without reading
  child.stdin.end(stdin);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** A server with its first operator, and an empty folder for the files of a test. */
export interface ServerUnderTest {
  readonly url: string;
  readonly folder: string;
  /** Runs a command against the server, in the folder, with the credentials kept there. */
  gatehouse(args: string, options?: { stdin?: string; env?: Record<string, string> }): Promise<Ended>;
  /** Ends the process, by SIGKILL unless told otherwise; its database stays. */
  down(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again where it was. */
  up(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one and waits for its ready line. */
export async function startServer(): Promise<ServerUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-cli-'));
  const database = await createEmptyTestDatabase();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  const up = async () => {
    const started = spawn(process.execPath, [join(root, 'apps/server/src/main.ts')], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'] ?? '',
        GATEHOUSE_PORT: String(port),
        GATEHOUSE_DATA_DIR: join(folder, 'data'),
        GATEHOUSE_DATABASE_URL: database.connectionString,
        GATEHOUSE_ADMIN_USERNAME: operator.username,
        GATEHOUSE_ADMIN_PASSWORD: operator.password,
        GATEHOUSE_LOG_LEVEL: 'warn',
      },
    });
    child = started;
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const read = (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes('Gatehouse is ready')) resolve();
      };
      started.stdout.on('data', read);
      started.stderr.on('data', read);
      started.once('exit', (code) => reject(new Error(`the server ended with ${code}:\n${said}`)));
    });
  };
  const down = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  await up();
  return {
    url,
    folder,
    gatehouse: (args, { stdin, env } = {}) =>
      runGatehouse(args.split(' '), {
        cwd: folder,
        env: { GATEHOUSE_URL: url, GATEHOUSE_CONFIG_DIR: join(folder, 'config'), ...env },
        ...(stdin === undefined ? {} : { stdin }),
      }),
    up,
    down: (signal = 'SIGKILL') => down(signal),
    async stop() {
      await down('SIGTERM');
      await database.drop();
      await rm(folder, { recursive: true });
    },
  };
}

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}
