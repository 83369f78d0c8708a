import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { sql } from 'kysely';
import { createTestApp, type TestApp } from '../../testing/test-app.ts';
import { createGroupCommit } from './group-commit.ts';

let node: TestApp;
before(async () => {
  node = await createTestApp({ start: false });
});

/** Notes a topic for each item; an item that says so fails by itself, or breaks the transaction. */
function create() {
  const crowds: number[] = [];
  const note = createGroupCommit<string, string>(node.db, async (tx, items) => {
    crowds.push(items.length);
    const outcomes = [];
    for (const item of items) {
      if (item.startsWith('refused')) {
        outcomes.push({ error: new Error(item) });
        continue;
      }
      if (item.startsWith('broken')) await sql`select broken`.execute(tx);
      await tx.insertInto('kernel.change_topics').values({ topic: item }).execute();
      outcomes.push({ value: item.toUpperCase() });
    }
    return outcomes;
  });
  return { note, crowds };
}

async function topics(prefix: string): Promise<string[]> {
  const { rows } = await node.db.pool.query<{ topic: string }>(
    'select topic from kernel.change_topics where topic like $1 order by topic',
    [`%${prefix}%`],
  );
  return rows.map((row) => row.topic);
}

test('a crowd shares transactions, and each caller gets its own value', async () => {
  const { note, crowds } = create();
  const items = Array.from({ length: 100 }, (_, index) => `crowd-${String(index).padStart(3, '0')}`);
  assert.deepEqual(
    await Promise.all(items.map(note)),
    items.map((item) => item.toUpperCase()),
  );
  assert.deepEqual(await topics('crowd-'), items);
  assert.equal(crowds.length, 2);
});

test('an error of one item is that item’s alone', async () => {
  const { note } = create();
  const results = await Promise.allSettled(['a-own', 'refused-own', 'b-own'].map(note));
  assert.deepEqual(
    results.map((result) => result.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual(await topics('-own'), ['a-own', 'b-own']);
});

test('an item that breaks the transaction does not spoil it for the others', async () => {
  const { note } = create();
  const results = await Promise.allSettled(['a-tx', 'broken-tx', 'b-tx'].map(note));
  assert.deepEqual(
    results.map((result) => result.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual(await topics('-tx'), ['a-tx', 'b-tx']);
});
