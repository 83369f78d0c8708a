import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { createTestDatabase } from '@gatehouse/testkit';
import pg from 'pg';
import { migrate, migrationsDir } from './migrate.ts';

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-migrations-'));
});
after(() => rm(dir, { recursive: true }));

let connectionString: string;
/** Databases without our tables: each test migrates for itself. */
beforeEach(async (context) => {
  const database = await createTestDatabase({ migrationsDir: dir, migrate: async () => {} });
  connectionString = database.connectionString;
  (context as { after(fn: () => Promise<void>): void }).after(() => database.drop());
  for (const file of ['0001-first.sql', '0002-second.sql']) await rm(join(dir, file), { force: true });
  await writeFile(join(dir, '0001-first.sql'), 'create table first (id integer primary key);');
});

async function query<R extends pg.QueryResultRow>(text: string): Promise<R[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return (await client.query<R>(text)).rows;
  } finally {
    await client.end();
  }
}

test('three nodes at once apply each migration once', async () => {
  const results = await Promise.all([1, 2, 3].map(() => migrate(connectionString, dir)));
  assert.deepEqual(
    results.flatMap((result) => result.applied),
    ['first'],
  );
  assert.deepEqual((await migrate(connectionString, dir)).applied, []);
});

test('a migration that fails leaves the database as before it and says which one it was', async () => {
  await writeFile(join(dir, '0002-second.sql'), 'create table second (id integer); select broken;');
  await assert.rejects(migrate(connectionString, dir), /Migration 2 second failed; the database is as before it/);
  assert.deepEqual(await query(`select number from kernel.migrations`), [{ number: 1 }]);
  assert.deepEqual(await query(`select to_regclass('second') as found`), [{ found: null }]);
});

test('a migration changed after it was applied is refused', async () => {
  await migrate(connectionString, dir);
  await writeFile(join(dir, '0001-first.sql'), 'create table first (id bigint primary key);');
  await assert.rejects(migrate(connectionString, dir), /0?1 first was changed after it was applied/);
});

test('a database of a newer release is refused', async () => {
  await writeFile(join(dir, '0002-second.sql'), 'create table second (id integer);');
  await migrate(connectionString, dir);
  await rm(join(dir, '0002-second.sql'));
  await assert.rejects(migrate(connectionString, dir), /newer release \(migration 2 second\)/);
});

test('the migrations of this release apply to an empty database, and a second run changes nothing', async () => {
  assert.ok((await migrate(connectionString, migrationsDir)).applied.length >= 6);
  assert.deepEqual((await migrate(connectionString, migrationsDir)).applied, []);
});
