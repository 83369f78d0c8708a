import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBackOff, sleep } from './back-off.ts';

test('waits grow to the cap, with full jitter', () => {
  const longest = createBackOff({ random: () => 1 });
  assert.deepEqual(
    Array.from({ length: 9 }, () => longest.next()),
    [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000],
  );
  assert.equal(longest.failures, 9);
  longest.reset();
  assert.equal(longest.next(), 1000);
  const shortest = createBackOff({ random: () => 0 });
  assert.deepEqual([shortest.next(), shortest.next()], [0, 0]);
  for (let i = 0; i < 5000; i += 1) longest.next();
  assert.equal(longest.next(), 60_000);
});

test('a server that asks for more time gets it, within reason, and not from all at once', () => {
  const backOff = createBackOff({ random: () => 0.5 });
  assert.equal(backOff.next(120), 120_500);
  assert.equal(backOff.next(1e9), 3_601_000);
  assert.equal(backOff.next(-5), 2000);
});

test('a thousand that lost their server together do not come back together', () => {
  const buckets = new Map<number, number>();
  for (let agent = 0; agent < 1000; agent += 1) {
    const backOff = createBackOff();
    let atMs = 0;
    // The server is away for half a minute.
    while (atMs < 30_000) atMs += backOff.next();
    const second = Math.floor(atMs / 1000);
    buckets.set(second, (buckets.get(second) ?? 0) + 1);
  }
  assert.ok(Math.max(...buckets.values()) < 150, `at most ${Math.max(...buckets.values())} in one second`);
});

test('a wait ends with its signal', async () => {
  const ending = new AbortController();
  const reason = new Error('enough');
  setImmediate(() => ending.abort(reason));
  await assert.rejects(sleep(3_600_000, ending.signal), reason);
  await assert.rejects(sleep(3_600_000, ending.signal), reason);
});
