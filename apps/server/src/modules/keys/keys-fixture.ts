import { randomUUID } from 'node:crypto';
import { after } from 'node:test';
import type { Permission } from '@gatehouse/contracts';
import { createFakeClock, createSeededRandom, createTestDatabase, type FakeClock } from '@gatehouse/testkit';
import type { Settings } from '../../config.ts';
import {
  createChanges,
  createDb,
  createHttp,
  createLog,
  createMetrics,
  migrate,
  migrationsDir,
  type Origin,
  setAuthenticator,
} from '../../kernel/index.ts';
import { type Audit, createAudit } from '../audit/index.ts';
import { createKeys, defaultKeyrings, type KeyringDefinition, openRootKeys } from './index.ts';

/** Who the tests act as. */
export const origin: Origin = {
  actor: { type: 'user', id: 'operator-1' },
  organization: 'gatehouse',
  requestId: 'req-1',
};

/** The root key of the tests, as the provider `env` takes it. */
export const testRootKey: string = Buffer.alloc(32, 7).toString('base64url');

/** The default keyrings without RSA, whose keys take long to make. */
export const fastKeyrings: readonly KeyringDefinition[] = defaultKeyrings.filter((one) => one.keyBits === undefined);

type RootKeySettings = Pick<Settings, 'rootKeyProvider' | 'rootKey' | 'rootKeyPrevious' | 'dataDir'>;

/** Settings of the provider `env`. */
export function envRootKey(rootKey: string, rootKeyPrevious?: string): RootKeySettings {
  return { rootKeyProvider: 'env', rootKey, rootKeyPrevious, dataDir: '/nonexistent' };
}

/** The module on a database of its own; `node()` gives further nodes over it, each with its own pool and memory. */
export async function createKeysFixture() {
  const database = await createTestDatabase({
    migrationsDir,
    migrate: async (connectionString) => {
      await migrate(connectionString);
    },
  });
  const { connectionString } = database;
  const clock: FakeClock = createFakeClock();
  const logLines: string[] = [];
  const log = createLog({ level: 'debug', destination: { write: (line: string) => void logLines.push(line) } });
  const closers: (() => Promise<void>)[] = [];

  const openDb = () => {
    const db = createDb({ connectionString, maxConnections: 4 });
    closers.unshift(() => db.close());
    return db;
  };

  const node = async (
    options: { keyrings?: readonly KeyringDefinition[]; rootKey?: RootKeySettings; start?: boolean } = {},
  ) => {
    const db = openDb();
    const random = createSeededRandom(randomUUID());
    const metrics = createMetrics();
    const changes = createChanges({ db, connectionString, log });
    const rootKeys = await openRootKeys({
      db,
      clock,
      random,
      log,
      settings: options.rootKey ?? envRootKey(testRootKey),
    });
    const audit: Audit = createAudit({
      db,
      clock,
      random,
      log,
      signCheckpoint: (payload) => keys.sign({ keyring: 'audit', payload }),
      auditKeys: async () => ({ keys: keys.auditKeys() }),
    });
    const keys = createKeys({
      db,
      clock,
      random,
      log,
      metrics,
      audit,
      changes,
      rootKeys,
      keyrings: options.keyrings ?? fastKeyrings,
    });
    if (options.start !== false) {
      await changes.start();
      await keys.start();
      closers.unshift(async () => {
        await keys.stop();
        await changes.stop();
      });
    }
    return { db, keys, metrics, changes, random };
  };

  after(async () => {
    for (const close of closers) await close();
    await database.drop();
  });
  return { node, openDb, clock, log, logLines, connectionString };
}

/** One node of a {@link createKeysFixture}. */
export type KeysNode = Awaited<ReturnType<Awaited<ReturnType<typeof createKeysFixture>>['node']>>;

/** The module's routes as an application; every caller is the one described. */
export async function createKeysApp(
  { keys, random, metrics }: KeysNode,
  log: Parameters<typeof createHttp>[0]['log'],
  caller: { organization: string; permissions: readonly Permission[] },
) {
  const app = await createHttp({ log, metrics, random, publicUrl: 'http://127.0.0.1:8400', trustProxy: [] });
  setAuthenticator(app, async () => ({
    kind: 'user',
    id: 'operator-1',
    clientId: 'gatehouse',
    organization: caller.organization,
    homeOrganization: caller.organization,
    operator: caller.organization === 'gatehouse',
    roles: [],
    permissions: new Set(caller.permissions),
    scope: [],
    tokenId: 'token-1',
  }));
  keys.routes(app);
  await app.ready();
  after(() => app.close());
  return app;
}
