import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startTemporaryPostgres, withDatabase } from '@gatehouse/postgres';
import { Client } from 'pg';

/** An empty, migrated database that belongs to one test file. */
export interface TestDatabase {
  readonly connectionString: string;
  /** Ends whoever is still connected and removes the database. */
  drop(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** Its files' names and contents decide whether an existing template is still right. */
  readonly migrationsDir: string;
  /** Brings an empty database to the newest schema. Must leave no connection open. */
  readonly migrate: (connectionString: string) => Promise<void>;
}

/**
 * A fresh database on a real PostgreSQL. Migrating takes a second, cloning a template tens of milliseconds, so the
 * migrations run once, into a template, and each caller gets a clone of it.
 *
 * The server is the one that `npm test` started and named in GATEHOUSE_TEST_POSTGRES. A test file that is run alone starts
 * its own, which ends with the process.
 */
export async function createTestDatabase({ migrationsDir, migrate }: TestDatabaseOptions): Promise<TestDatabase> {
  const server = await serverUrl();
  const template = `template_${(await hashFiles(migrationsDir)).slice(0, 24)}`;
  await withClient(server, (client) => ensureTemplate(client, server, template, migrate));
  const name = `test_${randomBytes(8).toString('hex')}`;
  await withClient(server, (client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
  return databaseOf(server, name);
}

/** A fresh database without any schema. */
export async function createEmptyTestDatabase(): Promise<TestDatabase> {
  const server = await serverUrl();
  const name = `test_${randomBytes(8).toString('hex')}`;
  await withClient(server, (client) => client.query(`CREATE DATABASE ${name}`));
  return databaseOf(server, name);
}

function databaseOf(server: string, name: string): TestDatabase {
  return {
    connectionString: withDatabase(server, name),
    drop: () =>
      withClient(server, async (client) => void (await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))),
  };
}

let ownServer: Promise<string> | undefined;

/** A promise of the caller's own each time: node:test finds the test that `after` belongs to by who made the last one. */
function serverUrl(): Promise<string> {
  const given = process.env.GATEHOUSE_TEST_POSTGRES;
  if (given !== undefined && given !== '') return Promise.resolve(given);
  ownServer ??= startTemporaryPostgres().then((server) => {
    // When nothing is left to do. It does not keep the process alive itself, and a killed process takes it along.
    process.once('beforeExit', () => void server.stop());
    return server.connectionString;
  });
  const shared = ownServer;
  return new Promise((resolve, reject) => {
    shared.then(resolve, reject);
  });
}

/** Test files run in several processes at once; the lock lets one of them make the template. */
async function ensureTemplate(
  client: Client,
  server: string,
  template: string,
  migrate: TestDatabaseOptions['migrate'],
): Promise<void> {
  await client.query(`SELECT pg_advisory_lock(hashtextextended($1, 0))`, [template]);
  // The mark "is a template" is set last, so one that has it is whole.
  const found = await client.query(`SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate`, [template]);
  if (found.rowCount === 0) {
    await client.query(`DROP DATABASE IF EXISTS ${template} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${template}`);
    await migrate(withDatabase(server, template));
    await client.query(`ALTER DATABASE ${template} IS_TEMPLATE true`);
  }
  await client.query(`SELECT pg_advisory_unlock(hashtextextended($1, 0))`, [template]);
}

async function withClient<T>(connectionString: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function hashFiles(directory: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of paths.sort()) {
    const content = await readFile(path);
    hash.update(`${path.slice(directory.length)}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}
