import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { needsRedis, requireRedis } from './find-redis.ts';

const directory = await mkdtemp(join(tmpdir(), 'find-redis-'));
after(() => rm(directory, { recursive: true }));

test('a redis-server on the PATH is enough; without one the error says what to run', async () => {
  await writeFile(join(directory, 'redis-server'), '', { mode: 0o755 });
  requireRedis('/repository', { PATH: `/nowhere:${directory}` });
  assert.throws(() => requireRedis('/repository', { PATH: '/nowhere' }), /sudo scripts\/install-test-tools\.sh/);
});

test('tests that start a Redis are known by what they import', () => {
  const root = join(import.meta.dirname, '../..');
  assert.ok(needsRedis(join(root, 'apps/server/journeys/reuni.test.ts')));
  assert.ok(!needsRedis(join(root, 'apps/server/journeys/kill.test.ts')));
});
