import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { removeAbandoned } from './temporary.ts';
import { processesWith, query, startReady, temporaryDirectory, until } from './testing/harness.ts';

const program = fileURLToPath(new URL('./testing/fixture-temporary.ts', import.meta.url));

test('what a killed test process leaves is removed by the next, what a live one uses is not', async () => {
  const parent = await temporaryDirectory();
  const options = { dataDir: parent, program, env: { ...process.env, TMPDIR: parent } };
  const killed = await startReady(options);
  const live = await startReady(options);
  assert.equal((await readdir(parent)).length, 2);

  await killed.kill('SIGKILL');
  const directory = decodeURIComponent(new URL(killed.connectionString).hostname);
  await until(async () => (await processesWith(directory)).length === 0, 'its PostgreSQL has ended');
  await removeAbandoned(parent);
  assert.equal((await readdir(parent)).length, 1);
  assert.deepEqual(await query(live.connectionString, `SELECT 1 AS one`), [{ one: 1 }]);

  await live.kill('SIGTERM');
  await until(async () => {
    await removeAbandoned(parent);
    return (await readdir(parent)).length === 0;
  }, 'the other one is free');
});
