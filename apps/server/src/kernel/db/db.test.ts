import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { sql } from 'kysely';
import { createTestApp, type TestApp } from '../../testing/test-app.ts';
import { isUniqueViolation, named } from './db.ts';

let node: TestApp;
before(async () => {
  node = await createTestApp({ start: false });
});

const count = { name: 'test_count', text: `select count(*)::int as count from kernel.change_topics where topic = $1` };

test('a transaction that throws leaves nothing', async () => {
  await assert.rejects(
    node.db.transaction(async (tx) => {
      await tx.insertInto('kernel.change_topics').values({ topic: 'half' }).execute();
      throw new Error('stop');
    }),
    /stop/,
  );
  assert.deepEqual(await node.db.read((tx) => named(tx, count, ['half'])), [{ count: 0 }]);
});

test('a transaction whose failed statement was swallowed does not look committed', async () => {
  await assert.rejects(
    node.db.transaction(async (tx) => {
      await tx.insertInto('kernel.change_topics').values({ topic: 'swallowed' }).execute();
      await sql`select broken`.execute(tx).catch(() => {});
    }),
    /rolled back/,
  );
  assert.deepEqual(await node.db.read((tx) => named(tx, count, ['swallowed'])), [{ count: 0 }]);
});

test('nesting throws, also a read in a transaction', async () => {
  await assert.rejects(
    node.db.transaction(() => node.db.transaction(async () => {})),
    /inside another/,
  );
  await assert.rejects(
    node.db.transaction(() => node.db.read(async () => {})),
    /inside another/,
  );
  await assert.rejects(
    node.db.read(() => node.db.transaction(async () => {})),
    /inside another/,
  );
});

test('a unique violation is told from other errors', async () => {
  const insert = () =>
    node.db.transaction((tx) => tx.insertInto('kernel.change_topics').values({ topic: 'one' }).execute());
  await insert();
  const error: unknown = await insert().then(
    () => undefined,
    (caught: unknown) => caught,
  );
  assert.equal(isUniqueViolation(error), true);
  assert.equal(isUniqueViolation(error, 'other'), false);
  assert.equal(isUniqueViolation(new Error('x')), false);
});
