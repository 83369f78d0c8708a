import { after } from 'node:test';
import { createFakeClock, createSeededRandom, createTestDatabase, type FakeClock } from '@gatehouse/testkit';
import { createGatehouse, type Gatehouse } from '../app.ts';
import type { Settings } from '../config.ts';
import { createLog, migrate, migrationsDir } from '../kernel/index.ts';

/** A whole node on a database of its own, with a clock that stands still until it is advanced. */
export interface TestApp extends Gatehouse {
  readonly clock: FakeClock;
  readonly settings: Settings;
  readonly connectionString: string;
  /** Every line the node has logged. */
  readonly logLines: string[];
  /** An access token of the first operator (`root-operator`). */
  operatorToken(): Promise<string>;
  /** A second node on the same database and root key, stopped with the first. */
  another(): Promise<Gatehouse>;
  close(): Promise<void>;
}

const openApps = new Set<() => Promise<void>>();
// Registered while the test file loads: a hook registered inside a hook would end with that hook.
if (process.argv[1]?.endsWith('.test.ts')) {
  after(async () => {
    for (const close of openApps) await close();
  });
}

/** Password of the test operator. */
export const operatorPassword = 'correct horse battery staple 42';

/** Starts a node for a test file on a fresh clone of the template database; ended by `close` or after the file's tests. */
export async function createTestApp(
  options: { settings?: Partial<Settings>; start?: boolean; clock?: FakeClock } = {},
): Promise<TestApp> {
  const database = await createTestDatabase({
    migrationsDir,
    migrate: async (connectionString) => {
      await migrate(connectionString);
    },
  });
  const settings: Settings = {
    publicUrl: 'http://127.0.0.1:8400',
    host: '127.0.0.1',
    port: 8400,
    dataDir: '/nonexistent',
    databaseUrl: database.connectionString,
    rootKeyProvider: 'env',
    rootKey: Buffer.alloc(32, 7).toString('base64url'),
    rootKeyPrevious: undefined,
    workers: 1,
    trustProxy: [],
    declaration: undefined,
    logLevel: 'debug',
    metricsPort: undefined,
    allowPrivateNetworks: [],
    modules: [],
    redisUrl: undefined,
    adminUsername: 'root-operator',
    adminPassword: operatorPassword,
    ...options.settings,
  };
  const logLines: string[] = [];
  const log = createLog({
    level: settings.logLevel,
    destination: { write: (line: string) => void logLines.push(line) },
  });
  const clock = options.clock ?? createFakeClock(new Date('2026-01-01T00:00:00.000Z'));
  const nodes: Gatehouse[] = [];
  const startNode = async (seed: number) => {
    const node = await createGatehouse({
      settings,
      connectionString: database.connectionString,
      clock,
      random: createSeededRandom(seed),
      log,
    });
    nodes.push(node);
    if (options.start !== false) await node.start();
    return node;
  };
  const first = await startNode(1);
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= (async () => {
      for (const node of nodes) await node.stop();
      await database.drop();
    })();
    return closed;
  };
  openApps.add(close);
  return {
    ...first,
    clock,
    settings,
    connectionString: database.connectionString,
    logLines,
    another: () => startNode(nodes.length + 1),
    async operatorToken() {
      const answer = await first.app.inject({
        method: 'POST',
        url: '/v1/sessions',
        payload: { username: 'root-operator', password: operatorPassword },
      });
      if (answer.statusCode !== 200 && answer.statusCode !== 201) {
        throw new Error(`the operator could not sign in: ${answer.statusCode} ${answer.body}`);
      }
      return answer.json<{ access_token: string }>().access_token;
    },
    close,
  };
}
