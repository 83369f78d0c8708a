import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import pg from 'pg';
import { createTestApp, type TestApp } from '../testing/test-app.ts';

let node: TestApp;
before(async () => {
  node = await createTestApp();
});

/** Resolves at the next change of `topic` that `changes` tells. */
function next(changes: TestApp['changes'], topic: string): Promise<void> {
  return new Promise((resolve) => {
    const stop = changes.watch(topic, () => {
      stop();
      resolve();
    });
  });
}

test('a change on one node is told on every node, and only after its commit', async () => {
  const other = await node.another();
  const told = Promise.all([next(node.changes, 'colours'), next(other.changes, 'colours')]);
  await assert.rejects(
    node.db.transaction(async (tx) => {
      await node.changes.touch(tx, 'colours');
      throw new Error('rolled back');
    }),
  );
  await node.db.transaction((tx) => node.changes.touch(tx, 'colours'));
  await told;
});

test('a change is told when the notification is lost', async () => {
  const told = next(node.changes, 'lost');
  const client = new pg.Client({ connectionString: node.connectionString });
  await client.connect();
  // What touch writes, without the notification.
  await client.query(`insert into kernel.change_topics (topic, version) values ('lost', 7)`);
  await client.end();
  await told;
});

test('a listener whose connection is killed comes back', async () => {
  const client = new pg.Client({ connectionString: node.connectionString });
  await client.connect();
  await client.query(`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'gatehouse-listen' and datname = current_database()`);
  await client.end();
  const told = next(node.changes, 'after-kill');
  await node.db.transaction((tx) => node.changes.touch(tx, 'after-kill'));
  await told;
});

test('a watcher that fails is asked again', async () => {
  let calls = 0;
  const told = new Promise<void>((resolve) => {
    node.changes.watch('flaky', () => {
      calls += 1;
      if (calls === 1) throw new Error('first time');
      resolve();
    });
  });
  await node.db.transaction((tx) => node.changes.touch(tx, 'flaky'));
  await told;
  assert.equal(calls, 2);
});

test('an announcement is heard with its message on every node, in order, after its commit and not without it', async () => {
  const other = await node.another();
  for (const [topic, changes] of [
    ['news', node.changes],
    ['news-elsewhere', other.changes],
  ] as const) {
    const heard: string[] = [];
    const all = new Promise<void>((resolve) => {
      changes.hear(topic, (message) => {
        heard.push(message);
        if (message === 'the last one') resolve();
      });
      changes.hear('other-news', () => heard.push('of another topic'));
    });
    await assert.rejects(
      node.db.transaction(async (tx) => {
        await node.changes.announce(tx, topic, 'rolled back');
        throw new Error('rolled back');
      }),
    );
    for (const message of ['one', 'two words', 'the last one']) {
      await node.db.transaction((tx) => node.changes.announce(tx, topic, message));
    }
    await all;
    assert.deepEqual(heard, ['one', 'two words', 'the last one']);
  }
});

test('who cannot take in an announcement does not keep it from others', async () => {
  node.changes.hear('broken-news', () => {
    throw new Error('cannot');
  });
  const told = new Promise<string>((resolve) => {
    node.changes.hear('broken-news', resolve);
  });
  await node.db.transaction((tx) => node.changes.announce(tx, 'broken-news', 'still told'));
  assert.equal(await told, 'still told');
});
