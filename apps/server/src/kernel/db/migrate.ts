import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runMigrations as runWorkerMigrations, Logger as WorkerLogger } from 'graphile-worker';
import pg from 'pg';

/** Where the server's migrations lie. */
export const migrationsDir: string = join(import.meta.dirname, '../../../migrations');

interface Migration {
  number: number;
  name: string;
  sql: string;
  checksum: string;
}

/** One lock for all nodes: whoever holds it migrates, the others wait and then find nothing to do. */
const lockKey = 7_240_811_001;

/**
 * Brings the database to this release: applies each migration once, in order, each in its own transaction.
 * Refuses a database of a newer release, and one whose applied migrations differ from the files.
 */
export async function migrate(connectionString: string, dir: string = migrationsDir): Promise<{ applied: string[] }> {
  const known = await readMigrations(dir);
  const pool = new pg.Pool({ connectionString, max: 2 });
  // A lost connection shows itself in the statement that uses it.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  try {
    const client = await pool.connect();
    try {
      await client.query('select pg_advisory_lock($1)', [lockKey]);
      try {
        const applied = await applyMissing(client, known);
        await runWorkerMigrations({ pgPool: pool, schema: 'graphile_worker', logger: silentLogger() });
        return { applied };
      } finally {
        await client.query('select pg_advisory_unlock($1)', [lockKey]);
      }
    } finally {
      client.release();
    }
  } finally {
    await pool.end();
  }
}

async function applyMissing(client: pg.PoolClient, known: Migration[]): Promise<string[]> {
  await client.query('create schema if not exists kernel');
  await client.query(`create table if not exists kernel.migrations (
    number integer primary key, name text not null, checksum text not null, applied_at timestamptz not null default now())`);
  const { rows } = await client.query<{ number: number; name: string; checksum: string }>(
    'select number, name, checksum from kernel.migrations order by number',
  );
  for (const row of rows) {
    const file = known.find((migration) => migration.number === row.number);
    if (!file) {
      throw new Error(
        `The database was migrated by a newer release (migration ${row.number} ${row.name}). Start that release or restore an older backup; a downgrade is not possible.`,
      );
    }
    if (file.checksum !== row.checksum) {
      throw new Error(
        `Migration ${file.number} ${file.name} was changed after it was applied here. Restore the file of the release; new changes go into a new migration.`,
      );
    }
  }
  const done = new Set(rows.map((row) => row.number));
  const applied: string[] = [];
  for (const migration of known.filter((one) => !done.has(one.number))) {
    await client.query('begin');
    try {
      await client.query(migration.sql);
      await client.query('insert into kernel.migrations (number, name, checksum) values ($1, $2, $3)', [
        migration.number,
        migration.name,
        migration.checksum,
      ]);
      await client.query('commit');
    } catch (error) {
      await client.query('rollback');
      throw new Error(`Migration ${migration.number} ${migration.name} failed; the database is as before it.`, {
        cause: error,
      });
    }
    applied.push(migration.name);
  }
  return applied;
}

async function readMigrations(dir: string): Promise<Migration[]> {
  const files = (await readdir(dir)).filter((file) => file.endsWith('.sql')).sort();
  const migrations: Migration[] = [];
  for (const file of files) {
    const match = /^(\d{4})-([a-z0-9-]+)\.sql$/.exec(file);
    if (!match) throw new Error(`migrations/${file}: the name must be NNNN-words.sql`);
    const sql = await readFile(join(dir, file), 'utf8');
    const number = Number(match[1]);
    if (migrations.some((migration) => migration.number === number)) {
      throw new Error(`migrations/${file}: the number ${number} is taken twice`);
    }
    migrations.push({ number, name: match[2] ?? '', sql, checksum: createHash('sha256').update(sql).digest('hex') });
  }
  return migrations;
}

function silentLogger(): WorkerLogger {
  return new WorkerLogger(() => () => {});
}
