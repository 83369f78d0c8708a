/**
 * Embedded PostgreSQL: a small supervisor over the binaries that npm packages bring.
 *
 * Owns `<dataDir>/postgres`: `cluster` (the data), `lock`, `password` (0600), `socket` (0700), and where they are needed
 * `libraries` and `binaries`. Knows nothing of what is in the database; migrations and queries live in the server.
 *
 * Invariants:
 * - Never two servers on one directory, also between containers (lock.ts).
 * - The server does not outlive this process, and ends cleanly when this process is killed (child.ts).
 * - A cluster is there whole or not at all (cluster.ts); one of another version is not touched.
 * - Never as root (identity.ts); no network; nobody but PostgreSQL's user, root and the holder of the password connects.
 * - Our log holds no statement and no row (settings.ts).
 */

export { type Connection, connectionString, withDatabase } from './connection.ts';
export { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from './embedded-postgres.ts';
export { EmbeddedPostgresError, type EmbeddedPostgresErrorCode } from './error.ts';
export type { PostgresLog } from './server.ts';
export { startTemporaryPostgres } from './temporary.ts';
