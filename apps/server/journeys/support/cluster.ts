/** Several nodes on one PostgreSQL, each a process of its own, with one root key. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEmptyTestDatabase } from '@gatehouse/testkit';
import pg from 'pg';
import { freePort, type Program, startProgram } from './programs.ts';

/** One node. */
export interface Node extends Program {
  readonly url: string;
}

/** The nodes, and their database. */
export interface Cluster {
  /** The issuer of every token. Nothing needs to listen there: each node answers under its own address too. */
  readonly publicUrl: string;
  readonly nodes: readonly Node[];
  readonly operator: { username: string; password: string };
  /** What all nodes are started with. */
  readonly env: Readonly<Record<string, string>>;
  /** Starts a node again that was stopped or killed, at its old address. */
  restart(index: number): Promise<Node>;
  /** What every node ever said. */
  output(): string;
  query<R extends object>(text: string, values?: unknown[]): Promise<R[]>;
  close(): Promise<void>;
}

/** Starts `count` nodes at once on an empty database. */
export async function startCluster(
  options: { count?: number; logLevel?: string; env?: Record<string, string> } = {},
): Promise<Cluster> {
  const { count = 3, logLevel = 'info' } = options;
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-journey-'));
  const database = await createEmptyTestDatabase();
  const operator = { username: 'root-operator', password: randomBytes(18).toString('base64url') };
  const ports: number[] = [];
  while (ports.length < count) {
    const port = await freePort();
    if (!ports.includes(port)) ports.push(port);
  }
  const publicUrl = `http://127.0.0.1:${ports[0]}`;
  const env = {
    GATEHOUSE_PUBLIC_URL: publicUrl,
    GATEHOUSE_DATABASE_URL: database.connectionString,
    GATEHOUSE_ROOT_KEY: randomBytes(32).toString('base64url'),
    GATEHOUSE_ADMIN_USERNAME: operator.username,
    GATEHOUSE_ADMIN_PASSWORD: operator.password,
    GATEHOUSE_LOG_LEVEL: logLevel,
    ...options.env,
  };
  const pool = new pg.Pool({ connectionString: database.connectionString, max: 2 });
  const past: Program[] = [];
  const start = async (port: number): Promise<Node> => {
    const program = await startProgram({
      name: `The node at port ${port}`,
      script: 'apps/server/src/main.ts',
      cwd: folder,
      env: { ...env, GATEHOUSE_PORT: String(port), GATEHOUSE_DATA_DIR: join(folder, String(port)) },
      readyText: /^Gatehouse is ready/m,
    });
    past.push(program);
    return { ...program, url: `http://127.0.0.1:${port}` };
  };
  const nodes: Node[] = [];
  const close = async () => {
    const stopping = nodes.filter((node) => node.isRunning()).map((node) => node.stop());
    const results = await Promise.allSettled(stopping);
    await pool.end();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
    for (const result of results) if (result.status === 'rejected') throw result.reason as Error;
  };
  const started = await Promise.allSettled(ports.map(start));
  for (const result of started) if (result.status === 'fulfilled') nodes.push(result.value);
  for (const result of started) {
    if (result.status === 'fulfilled') continue;
    await close().catch(() => undefined);
    throw result.reason as Error;
  }
  return {
    publicUrl,
    nodes,
    operator,
    env,
    async restart(index) {
      const port = ports[index];
      if (port === undefined) throw new Error(`there is no node ${index}`);
      const node = await start(port);
      nodes[index] = node;
      return node;
    },
    output: () => past.map((program) => program.output()).join('\n'),
    async query<R extends object>(text: string, values: unknown[] = []) {
      return (await pool.query<R>(text, values)).rows;
    },
    close,
  };
}
