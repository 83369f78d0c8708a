import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { sql } from 'kysely';
import { createTestApp, type TestApp } from '../../testing/test-app.ts';
import { createSharedRead } from './shared-read.ts';

let node: TestApp;
before(async () => {
  node = await createTestApp({ start: false });
  await node.db.transaction((tx) =>
    tx
      .insertInto('kernel.change_topics')
      .values(['red', 'green', 'blue'].map((topic) => ({ topic, version: 1 })))
      .execute(),
  );
});

/** Reads versions of topics; `crowds` holds the keys of each statement. */
function create() {
  const crowds: string[][] = [];
  const read = createSharedRead<string, number>(
    node.db,
    (topic) => topic,
    async (tx, topics) => {
      crowds.push([...topics]);
      if (topics.includes('broken')) await sql`select broken`.execute(tx);
      const rows = await tx
        .selectFrom('kernel.change_topics')
        .select(['topic', 'version'])
        .where('topic', 'in', [...topics])
        .execute();
      return new Map(rows.map((row) => [row.topic, Number(row.version)]));
    },
  );
  return { read, crowds };
}

const bump = (topic: string) =>
  node.db.transaction((tx) =>
    tx
      .updateTable('kernel.change_topics')
      .set((set) => ({ version: set('version', '+', '1') }))
      .where('topic', '=', topic)
      .execute(),
  );

test('a crowd shares one statement, and each gets its own answer', async () => {
  const { read, crowds } = create();
  const asked = ['red', 'green', 'none', 'red', 'blue', ...Array.from({ length: 200 }, () => 'green')];
  const answers = await Promise.all(asked.map(read));
  assert.deepEqual(crowds, [['red', 'green', 'none', 'blue']]);
  assert.deepEqual(answers.slice(0, 5), [1, 1, undefined, 1, 1]);
  assert.ok(answers.slice(5).every((version) => version === 1));
});

test('who asks after a commit sees it, however busy the reads are', async () => {
  const { read, crowds } = create();
  const state = { busy: true };
  const crowd = Promise.all(
    Array.from({ length: 20 }, async () => {
      while (state.busy) await read('red');
    }),
  );
  for (let round = 0; round < 50; round += 1) {
    const before = (await read('red')) ?? 0;
    await bump('red');
    assert.equal(await read('red'), before + 1);
  }
  state.busy = false;
  await crowd;
  assert.ok(crowds.length > 50);
});

test('a failed statement is told to those who shared it, and to nobody after', async () => {
  const { read } = create();
  const results = await Promise.allSettled(['red', 'broken'].map(read));
  assert.deepEqual(
    results.map((result) => result.status),
    ['rejected', 'rejected'],
  );
  assert.equal(await read('blue'), 1);
});
