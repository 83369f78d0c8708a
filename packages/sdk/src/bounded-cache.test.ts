import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFakeClock } from '@gatehouse/testkit';
import { createBoundedCache } from './bounded-cache.ts';

describe('createBoundedCache', () => {
  const clock = createFakeClock();
  const inSeconds = (seconds: number) => new Date(clock.now().getTime() + seconds * 1000);

  it('drops the least recently used entry when it is full', () => {
    const cache = createBoundedCache<number>({ maxEntries: 2, now: () => clock.now() });
    cache.set('a', 1, inSeconds(10));
    cache.set('b', 2, inSeconds(10));
    assert.equal(cache.get('a'), 1);
    cache.set('c', 3, inSeconds(10));
    assert.deepEqual([cache.get('a'), cache.get('b'), cache.get('c'), cache.size], [1, undefined, 3, 2]);
  });

  it('forgets entries at their end', () => {
    const cache = createBoundedCache<number>({ maxEntries: 2, now: () => clock.now() });
    cache.set('a', 1, inSeconds(10));
    clock.advance(9);
    assert.equal(cache.get('a'), 1);
    clock.advance(1);
    assert.equal(cache.get('a'), undefined);
    cache.set('b', 1, inSeconds(0));
    assert.equal(cache.size, 0);
  });

  it('keeps nothing when it may not', () => {
    const cache = createBoundedCache<number>({ maxEntries: 0, now: () => clock.now() });
    cache.set('a', 1, inSeconds(10));
    assert.equal(cache.get('a'), undefined);
  });
});
