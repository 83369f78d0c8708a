import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Client } from 'pg';
import { createTestDatabase } from './test-database.ts';

const migrationsDir = await mkdtemp(join(tmpdir(), 'migrations-'));
await writeFile(join(migrationsDir, '0001.sql'), `CREATE TABLE things (name text PRIMARY KEY)`);
after(() => rm(migrationsDir, { recursive: true }));

async function query(connectionString: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    return (await client.query(text)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

let migrations = 0;
async function migrate(connectionString: string): Promise<void> {
  migrations += 1;
  await query(connectionString, `CREATE TABLE things (name text PRIMARY KEY)`);
}

test('each database is a clone of its own; the migrations ran once', async () => {
  const [one, two] = await Promise.all([
    createTestDatabase({ migrationsDir, migrate }),
    createTestDatabase({ migrationsDir, migrate }),
  ]);
  await query(one.connectionString, `INSERT INTO things VALUES ('a')`);
  assert.deepEqual(await query(one.connectionString, `SELECT name FROM things`), [{ name: 'a' }]);
  assert.deepEqual(await query(two.connectionString, `SELECT name FROM things`), []);
  assert.equal(migrations, 1);
  await one.drop();
  await assert.rejects(query(one.connectionString, `SELECT 1`), { code: '3D000' });
  await two.drop();
});

test('changed migrations make another template', async () => {
  await writeFile(join(migrationsDir, '0002.sql'), `-- another`);
  const before = migrations;
  const database = await createTestDatabase({ migrationsDir, migrate });
  assert.equal(migrations, before + 1);
  await database.drop();
});

test('a template whose migration failed is made again', async () => {
  await writeFile(join(migrationsDir, '0003.sql'), `-- a third`);
  const failing = createTestDatabase({
    migrationsDir,
    migrate: async (connectionString) => {
      await query(connectionString, `CREATE TABLE half (name text)`);
      throw new Error('no');
    },
  });
  await assert.rejects(failing, /^Error: no$/);
  const database = await createTestDatabase({ migrationsDir, migrate });
  await assert.rejects(query(database.connectionString, `SELECT 1 FROM half`), { code: '42P01' });
  assert.deepEqual(await query(database.connectionString, `SELECT name FROM things`), []);
  await database.drop();
});
