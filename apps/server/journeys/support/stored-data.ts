/** What a database holds, read as a thief of it would: every row of every table. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import type { CanaryWatch, Sighting } from './canaries.ts';

/** The embedded database in this directory, as its server connects to it. */
export async function connectionOf(directory: string): Promise<string> {
  const password = (await readFile(join(directory, 'password'), 'utf8')).trim();
  const socket = join(directory, 'socket');
  const [port] = (await readdir(socket)).flatMap((name) => /^\.s\.PGSQL\.(\d+)$/.exec(name)?.[1] ?? []);
  return `postgresql://gatehouse:${encodeURIComponent(password)}@${encodeURIComponent(socket)}:${port}/gatehouse`;
}

/** Looks for the canaries, and for a text that has to be there, in every column of every row. */
export async function findInTables(
  connectionString: string,
  canaries: CanaryWatch,
  visible: string,
): Promise<{ sightings: Sighting[]; tables: number; rows: number; sawVisible: boolean }> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  const sightings: Sighting[] = [];
  const seen = { tables: 0, rows: 0, sawVisible: false };
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
       where schemaname not in ('pg_catalog', 'information_schema')`,
    );
    for (const { name } of tables) {
      const { rows } = await client.query<Record<string, unknown>>(`select * from ${name}`);
      seen.tables += 1;
      for (const row of rows) {
        seen.rows += 1;
        for (const [column, value] of Object.entries(row)) {
          const bytes = Buffer.isBuffer(value)
            ? value
            : Buffer.from(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
          seen.sawVisible ||= bytes.includes(visible);
          sightings.push(...canaries.find(bytes, `${name}.${column}`));
        }
      }
    }
  } finally {
    await client.end();
  }
  return { sightings, ...seen };
}
