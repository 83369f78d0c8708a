import { AsyncLocalStorage } from 'node:async_hooks';
import type { Writable } from 'node:stream';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  RawNode,
  type Transaction,
  type TransactionSettings,
} from 'kysely';
import pg from 'pg';
import type { Database } from '../../tables.ts';

/** Reads: a connection outside a transaction, or a transaction. */
export type Reader = Kysely<Database>;
/** Writes: a transaction. Whatever takes a `Tx` is in the caller's transaction. */
export type Tx = Transaction<Database>;

/** The only ways to SQL. */
export interface Db {
  /** Runs `fn` in one READ COMMITTED transaction. No network, hashing or sleeping inside. Nesting throws. */
  transaction<T>(fn: (tx: Tx) => Promise<T>): Promise<T>;
  /**
   * Runs `fn` on one connection, each statement on its own. Statements that are not awaited one by one (`Promise.all`)
   * go out together, in one round trip. Nesting throws.
   */
  read<T>(fn: (tx: Reader) => Promise<T>): Promise<T>;
  /** The pool underneath: for LISTEN and the job runner only. */
  readonly pool: pg.Pool;
  close(): Promise<void>;
}

/** A hot statement: prepared once per connection under its name. */
export interface NamedStatement {
  readonly name: string;
  readonly text: string;
}

/** Opens the pool. `maxConnections` is per process. */
export function createDb(options: {
  connectionString: string;
  maxConnections?: number;
  onError?: (error: Error) => void;
}): Db {
  const pool = new pg.Pool({
    connectionString: options.connectionString,
    max: options.maxConnections ?? 12,
    idleTimeoutMillis: 60_000,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 60_000,
    idle_in_transaction_session_timeout: 60_000,
    application_name: 'gatehouse',
    pipeline: true,
  });
  let closing = false;
  // At the end connections may be cut while they say goodbye: that is no loss.
  const lost = (error: Error) => {
    if (!closing) options.onError?.(error);
  };
  // An idle connection that breaks (a restarted database) is replaced by the pool; without a listener it ends the process.
  pool.on('error', lost);
  pool.on('connect', (client) => client.on('error', lost));
  const kysely = kyselyOver(createDriver(pool));
  const readers = new WeakMap<pg.PoolClient, Reader>();
  const readerOf = (client: pg.PoolClient): Reader => {
    const reader = readers.get(client) ?? kyselyOver(createReadDriver(client));
    readers.set(client, reader);
    return reader;
  };
  const inside = new AsyncLocalStorage<true>();
  const assertOutside = () => {
    if (inside.getStore()) throw new Error('db: a transaction or read inside another; pass the tx on instead');
  };
  return {
    async transaction(fn) {
      assertOutside();
      return inside.run(true, () => kysely.transaction().execute(fn));
    },
    async read(fn) {
      assertOutside();
      const client = await pool.connect();
      try {
        return await inside.run(true, () => fn(readerOf(client)));
      } finally {
        client.release();
      }
    },
    pool,
    close() {
      closing = true;
      return pool.end();
    },
  };
}

/** Runs a prepared statement in `tx` and returns its rows. */
export async function named<R>(tx: Reader, statement: NamedStatement, values: readonly unknown[]): Promise<R[]> {
  const query: NamedQuery = {
    sql: statement.text,
    parameters: values,
    query: RawNode.createWithSql(statement.text),
    queryId: { queryId: statement.name },
    statementName: statement.name,
  };
  const result = await tx.executeQuery<R>(query);
  return result.rows;
}

interface NamedQuery extends CompiledQuery {
  readonly statementName?: string;
}

/** True for PostgreSQL's unique_violation (23505), of the given constraint when one is named. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  return (
    hasCode(error, '23505') &&
    (constraint === undefined || (error as { constraint?: string }).constraint === constraint)
  );
}

function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && (error as { code?: unknown }).code === code;
}

interface PgConnection extends DatabaseConnection {
  readonly client: pg.PoolClient;
}

function kyselyOver(driver: Driver): Kysely<Database> {
  return new Kysely<Database>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => driver,
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}

function connectionOf(client: pg.PoolClient): PgConnection {
  return {
    client,
    async executeQuery<R>(compiled: CompiledQuery): Promise<QueryResult<R>> {
      const name = (compiled as NamedQuery).statementName;
      const config: pg.QueryConfig = { text: compiled.sql, values: [...compiled.parameters] };
      if (name !== undefined) config.name = name;
      sendTogether(client);
      const result = await client.query(config);
      const changed = result.command === 'INSERT' || result.command === 'UPDATE' || result.command === 'DELETE';
      return changed && result.rowCount !== null
        ? { rows: result.rows as R[], numAffectedRows: BigInt(result.rowCount) }
        : { rows: result.rows as R[] };
    },
    // oxlint-disable-next-line require-yield -- the interface asks for a generator; streams are not used
    async *streamQuery() {
      throw new Error('db: streaming is not supported');
    },
  };
}

/**
 * What is sent to a connection in this turn of the event loop leaves in one write: BEGIN with the first statement, and
 * statements of a read that do not wait for each other. A write wakes a backend, and costs more than the statement.
 */
function sendTogether(client: pg.PoolClient): void {
  const { stream } = (client as unknown as { connection: { stream: Writable } }).connection;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

/** Statements of a read: all on one connection, which its caller holds. */
function createReadDriver(client: pg.PoolClient): Driver {
  const connection = connectionOf(client);
  const noTransactions = async () => {
    throw new Error('db: a transaction inside a read');
  };
  return {
    async init() {},
    acquireConnection: async () => connection,
    beginTransaction: noTransactions,
    commitTransaction: noTransactions,
    rollbackTransaction: noTransactions,
    async releaseConnection() {},
    async destroy() {},
  };
}

function createDriver(pool: pg.Pool): Driver {
  const clientOf = (connection: DatabaseConnection) => (connection as PgConnection).client;
  return {
    async init() {},
    acquireConnection: async () => connectionOf(await pool.connect()),
    async beginTransaction(connection, settings: TransactionSettings) {
      sendTogether(clientOf(connection));
      // Sent with the first statement, in one round trip. Should it fail, so does that statement, and with the
      // statement the transaction; its own rejection says nothing more.
      clientOf(connection)
        .query(settings.isolationLevel ? `begin isolation level ${settings.isolationLevel}` : 'begin')
        .catch(() => {});
    },
    async commitTransaction(connection) {
      const result = await clientOf(connection).query('commit');
      // A transaction that failed inside and was caught commits as ROLLBACK: that must never look like success.
      if (result.command === 'ROLLBACK') throw new Error('db: the transaction had failed and was rolled back');
    },
    async rollbackTransaction(connection) {
      await clientOf(connection).query('rollback');
    },
    async releaseConnection(connection) {
      clientOf(connection).release();
    },
    async destroy() {},
  };
}
