import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createEmptyTestDatabase, createFakeClock, type TestDatabase } from '@gatehouse/testkit';
import { Pool } from 'pg';
import { sealTo } from './client/seal.ts';
import { createPop } from './pop/pop.ts';
import type { PopPolicy } from './pop/pop-key.ts';
import { postgresStore } from './postgres.ts';

const storeKey = Buffer.alloc(32, 5).toString('base64');
const policy: PopPolicy = { keys: [{ use: 'enc', alg: 'ECDH-ES+A256KW', validitySeconds: 60, legacySeconds: 600 }] };

describe('postgresStore', () => {
  let database: TestDatabase;
  const pools: Pool[] = [];
  const connect = () => {
    const pool = new Pool({ connectionString: database.connectionString, max: 2 });
    // `end()` resolves before the server has seen the goodbye, so dropping the database may still cut a connection.
    pool.on('error', () => undefined);
    pools.push(pool);
    return pool;
  };
  before(async () => {
    database = await createEmptyTestDatabase();
  });
  after(async () => {
    await Promise.all(pools.map((pool) => pool.end()));
    await database.drop();
  });

  it('lets three instances share the keys and rotate once', async () => {
    const clock = createFakeClock();
    const instance = async () => createPop({ store: postgresStore(connect(), { storeKey }), policy, clock });
    const pops = await Promise.all([instance(), instance(), instance()]);
    const sealed = await sealTo(pops[0].jwks().body, 'to all');
    for (let round = 1; round <= 3; round++) {
      clock.advance(61);
      const results = await Promise.all(pops.map((pop) => pop.rotate()));
      assert.ok(results.some(Boolean));
      assert.equal(new Set(pops.map((pop) => pop.jwks().etag)).size, 1);
      assert.equal((await postgresStore(connect(), { storeKey }).load())?.revision, 1 + round);
      assert.equal(pops[0].list().filter((key) => key.state === 'valid').length, 1);
    }
    for (const pop of pops) {
      assert.equal(Buffer.from((await pop.open(sealed)).plaintext).toString(), 'to all');
      pop.close();
    }
  });

  it('keeps several services apart in one table, and their keys unreadable in a dump', async () => {
    const [one, other] = await Promise.all(
      ['records', 'letters'].map((name) =>
        createPop({ store: postgresStore(connect(), { storeKey, table: 'keys_of_services', name }), policy }),
      ),
    );
    assert.ok(one && other);
    one.close();
    other.close();
    assert.notEqual(one.jwks().etag, other.jwks().etag);
    const { rows } = await connect().query<{ document: string }>('select document from keys_of_services');
    assert.equal(rows.length, 2);
    for (const { document } of rows) assert.match(document, /^gatehouse-pop-1\.[\w-]+$/);
    // A row put in another service's place does not open.
    await connect().query(
      `update keys_of_services set document = (select document from keys_of_services where name = 'records')`,
    );
    const letters = postgresStore(connect(), { storeKey, table: 'keys_of_services', name: 'letters' });
    await assert.rejects(letters.load(), { code: 'pop_store_unavailable' });
  });

  it('refuses a table name that is not one, and says when the database is away', async () => {
    assert.throws(() => postgresStore(connect(), { storeKey, table: 'a; drop table b' }), {
      code: 'configuration_invalid',
    });
    const pool = new Pool({ connectionString: 'postgres://127.0.0.1:1/none', connectionTimeoutMillis: 1000 });
    await assert.rejects(postgresStore(pool, { storeKey }).load(), { code: 'pop_store_unavailable' });
    await pool.end();
  });
});
