import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createByteCache } from './byte-cache.ts';

test('what was used stays longer than what was not, within the bound', () => {
  const cache = createByteCache<string>(30);
  for (const key of ['a', 'b', 'c']) cache.set(key, key.toUpperCase(), 10);
  assert.equal(cache.get('a'), 'A');
  cache.set('d', 'D', 10);
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((key) => cache.get(key)),
    ['A', undefined, 'C', 'D'],
  );
});

test('a value under a key that is there takes its place, and no room twice', () => {
  const cache = createByteCache<number>(20);
  for (let index = 0; index < 10; index += 1) cache.set('a', index, 10);
  cache.set('b', 1, 10);
  assert.deepEqual([cache.get('a'), cache.get('b')], [9, 1]);
});

test('what is larger than all room is not kept; when everything was used, the bound still holds', () => {
  const cache = createByteCache<number>(20);
  cache.set('huge', 1, 21);
  assert.equal(cache.get('huge'), undefined);
  for (let index = 0; index < 100; index += 1) {
    cache.set(String(index), index, 10);
    for (let past = 0; past <= index; past += 1) cache.get(String(past));
  }
  const kept = Array.from({ length: 100 }, (_, index) => cache.get(String(index))).filter(
    (value) => value !== undefined,
  );
  assert.equal(kept.length, 2);
});
