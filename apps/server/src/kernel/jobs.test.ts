import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestApp } from '../testing/test-app.ts';

test('a job runs when its transaction commits, is tried again when it fails, and never when it rolls back', async () => {
  const node = await createTestApp({ start: false });
  const seen: { name: unknown; attempt: number }[] = [];
  const done = new Promise<void>((resolve) => {
    node.jobs.register('note', async (payload: { name: string }, { attempt }) => {
      seen.push({ name: payload.name, attempt });
      if (attempt === 1) throw new Error('first try');
      resolve();
    });
  });
  await assert.rejects(
    node.db.transaction(async (tx) => {
      await node.jobs.add(tx, 'note', { name: 'rolled back' });
      throw new Error('stop');
    }),
  );
  await node.db.transaction((tx) => node.jobs.add(tx, 'note', { name: 'kept' }));
  await node.start();
  await done;
  assert.deepEqual(seen, [
    { name: 'kept', attempt: 1 },
    { name: 'kept', attempt: 2 },
  ]);
});

test('a job may use the database although the runner was woken by a connection that a transaction had opened', async () => {
  const node = await createTestApp({ start: false });
  const attempts: number[] = [];
  let resolve: () => void;
  const done = new Promise<void>((fulfil) => {
    resolve = fulfil;
  });
  node.jobs.register('count', async (_payload, { attempt }) => {
    attempts.push(attempt);
    await node.db.transaction((tx) => tx.selectFrom('kernel.change_topics').selectAll().execute());
    resolve();
  });
  // Each of these opens a connection; the runner's LISTEN takes one of them over.
  await Promise.all([1, 2, 3].map(() => node.db.transaction((tx) => node.jobs.add(tx, 'nothing', {}))));
  await node.start();
  await node.db.transaction((tx) => node.jobs.add(tx, 'count', {}));
  await done;
  assert.deepEqual(attempts, [1]);
});
