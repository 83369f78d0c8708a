/**
 * `@gatehouse/sdk/postgres`: keys in a PostgreSQL table, shared by all instances of a service. A rotation is one
 * conditional UPDATE: it takes the row's lock, and wins only over the revision it was computed from.
 *
 * @example
 * const pop = await createPop({ store: postgresStore(pool, { storeKey: process.env.POP_STORE_KEY }) });
 */
import { GatehouseError } from './errors.ts';
import { createDocumentCodec } from './pop/document-codec.ts';
import type { PopStore } from './pop/pop-key.ts';

/** What is needed of a `pg` pool (or client). */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[]; rowCount: number | null }>;
}

/** Options of the store. */
export interface PostgresStoreOptions {
  /** 32 bytes (base64) that seal the keys, kept outside the database: a dump alone must not hold a usable key. */
  storeKey: Uint8Array | string;
  /** Table, made when missing; `schema.table` is allowed. Default `gatehouse_pop_keys`. */
  table?: string;
  /** Row of this service, when several share the table. Default `default`. */
  name?: string;
}

/** Makes a store in a PostgreSQL table. */
export function postgresStore(pool: Queryable, options: PostgresStoreOptions): PopStore {
  const table = options.table ?? 'gatehouse_pop_keys';
  const name = options.name ?? 'default';
  if (!/^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$/.test(table)) {
    throw new GatehouseError('configuration_invalid', 'table must be a lower-case name or schema.name.');
  }
  const quoted = table
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');
  const codec = createDocumentCodec({ storeKey: options.storeKey, name: `postgres ${name}` });
  let ready: Promise<void> | undefined;

  async function run(text: string, values: unknown[]): Promise<{ rows: unknown[]; rowCount: number | null }> {
    ready ??= createTable().catch((error: unknown) => {
      ready = undefined; // the next call tries again
      throw error;
    });
    try {
      await ready;
      return await pool.query(text, values);
    } catch (cause) {
      throw new GatehouseError('pop_store_unavailable', `The table ${table} cannot be used.`, { cause });
    }
  }

  async function createTable(): Promise<void> {
    const found = await pool.query('select to_regclass($1) is not null as found', [quoted]);
    if ((found.rows[0] as { found: boolean } | undefined)?.found === true) return;
    try {
      await pool.query(
        `create table if not exists ${quoted} (` +
          'name text primary key, revision integer not null, document text not null, updated_at timestamptz not null)',
      );
    } catch (error) {
      // Two instances that start together may both try; the loser sees a unique violation or "already exists".
      const code = (error as { code?: string }).code;
      if (code !== '23505' && code !== '42P07') throw error;
    }
  }

  return {
    async load() {
      const { rows } = await run(`select document from ${quoted} where name = $1`, [name]);
      const row = rows[0] as { document: string } | undefined;
      return row === undefined ? undefined : codec.decode(row.document);
    },
    async save(next) {
      const values = [name, next.revision, codec.encode(next), next.updatedAt];
      const { rowCount } =
        next.revision === 1
          ? await run(`insert into ${quoted} values ($1, $2, $3, $4) on conflict (name) do nothing`, values)
          : await run(
              `update ${quoted} set revision = $2, document = $3, updated_at = $4 where name = $1 and revision = $2 - 1`,
              values,
            );
      return rowCount === 1;
    },
  };
}
