import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { after } from 'node:test';
import type { JsonObject } from '@gatehouse/contracts';
import { createFakeClock, createSeededRandom, createTestDatabase } from '@gatehouse/testkit';
import {
  createDb,
  createHttp,
  createLog,
  createMetrics,
  migrate,
  migrationsDir,
  type Origin,
  type Principal,
  setAuthenticator,
} from '../../kernel/index.ts';
import { type Audit, createAudit } from './index.ts';

/** Who the tests act as. */
export const origin: Origin = {
  actor: { type: 'user', id: 'user-1' },
  requestId: 'req-1',
  address: '192.0.2.7',
  userAgent: 'test/1',
};

/** The module on a database of its own; `node()` gives further nodes over the same database, each with its own pool. */
export async function createAuditFixture() {
  const database = await createTestDatabase({
    migrationsDir,
    migrate: async (connectionString) => {
      await migrate(connectionString);
    },
  });
  const clock = createFakeClock();
  const signer = createTestSigner();
  const logLines: string[] = [];
  const log = createLog({ level: 'debug', destination: { write: (line: string) => void logLines.push(line) } });
  const closers: (() => Promise<void>)[] = [];
  const node = (options: { clock?: { now(): Date }; maxConnections?: number } = {}) => {
    const db = createDb({ connectionString: database.connectionString, maxConnections: options.maxConnections ?? 6 });
    const audit = createAudit({
      db,
      clock: options.clock ?? clock,
      random: createSeededRandom(randomUUID()),
      log,
      signCheckpoint: (payload) => signer.signCheckpoint(payload),
      auditKeys: async () => ({ keys: [signer.jwk] }),
    });
    closers.push(() => db.close());
    return { db, audit };
  };
  after(async () => {
    for (const close of closers) await close();
    await database.drop();
  });
  return { ...node(), node, clock, signer, logLines, connectionString: database.connectionString };
}

/** An ES256 signer as the keys module hands one in. */
export function createTestSigner() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk: JsonObject = {
    ...(publicKey.export({ format: 'jwk' }) as JsonObject),
    kid: 'test-key',
    alg: 'ES256',
    use: 'sig',
  };
  const encode = (value: JsonObject) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    jwk,
    async signCheckpoint(payload: JsonObject): Promise<string> {
      const input = `${encode({ alg: 'ES256', typ: 'gatehouse-checkpoint+jwt', kid: 'test-key' })}.${encode(payload)}`;
      const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${input}.${signature.toString('base64url')}`;
    },
  };
}

/** The routes over HTTP. A caller's token is its name in `callers`. */
export async function createAuditHttp(audit: Audit, callers: Readonly<Record<string, Partial<Principal>>>) {
  const app = await createHttp({
    log: createLog({ level: 'silent' }),
    metrics: createMetrics(),
    random: createSeededRandom('http'),
    publicUrl: 'http://127.0.0.1:8400',
    trustProxy: [],
  });
  setAuthenticator(app, async (request): Promise<Principal | undefined> => {
    const name = request.headers.authorization?.replace('Bearer ', '') ?? '';
    const caller = callers[name];
    if (!caller) return undefined;
    return {
      kind: 'user',
      id: `user-of-${name}`,
      clientId: 'gatehouse',
      organization: 'acme',
      homeOrganization: caller.organization ?? 'acme',
      operator: false,
      roles: [],
      permissions: new Set(),
      scope: [],
      tokenId: 'token-1',
      ...caller,
    };
  });
  audit.routes(app);
  await app.ready();
  after(() => app.close());
  return app;
}
