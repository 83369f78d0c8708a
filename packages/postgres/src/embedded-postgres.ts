import { resolve } from 'node:path';
import { completeLibraries, findBinaries } from './binaries.ts';
import { applicationDatabase, applicationRole, ensureCluster } from './cluster.ts';
import { type Connection, connectionString } from './connection.ts';
import { makeDirectory, takeDirectory } from './data-dir.ts';
import { type EmbeddedPostgresError, pathError, systemErrorCode } from './error.ts';
import { chooseRuntime } from './identity.ts';
import { type PostgresLog, superviseServer } from './server.ts';
import { serverSettings, socketPort } from './settings.ts';
import { prepareSocketDirectory, removeSocketDirectory } from './socket-directory.ts';

export interface EmbeddedPostgresOptions {
  /** Made if absent. Everything is in `<dataDir>/postgres`. */
  readonly dataDir: string;
  readonly log?: PostgresLog;
  /** Called once if the server dies again and again and stays down; the program should then end. */
  readonly onFailed?: (error: EmbeddedPostgresError) => void;
  /** For tests: quick, and everything is lost at a power cut. */
  readonly ephemeral?: boolean;
}

export interface EmbeddedPostgres {
  readonly connection: Connection;
  /** The same as a URL, for `pg` and for libpq. Holds the password. */
  readonly connectionString: string;
  /** Of the postmaster; another one after a restart. */
  readonly pid: number;
  /** Shuts down cleanly and frees the data directory. Later calls wait for the same end. */
  stop(): Promise<void>;
}

const silent: PostgresLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/**
 * Starts a PostgreSQL server of our own on a data directory and returns when it takes connections.
 *
 * It ends when this process ends, however that happens, and never loses an acknowledged commit by it. It does not keep
 * the process alive by itself. Throws `EmbeddedPostgresError`, whose message says what to do.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { log = silent, ephemeral = false } = options;
  const dataDir = resolve(options.dataDir);
  const installed = await findBinaries();
  const directory = await makeDirectory(dataDir);
  const lock = await takeDirectory(directory, log);
  try {
    const libraryPath = await completeLibraries(installed, `${directory}/libraries`);
    const runtime = await chooseRuntime({ binaries: installed, dataDir, directory, libraryPath });
    const context = { runtime, lockFd: lock.fd, directory, ephemeral };
    const password = await ensureCluster(context);
    const socketDirectory = await prepareSocketDirectory(directory, runtime.identity);
    const server = await superviseServer({
      context,
      settings: serverSettings({ socketDirectory, ephemeral }),
      log,
      onFailed: (error) => {
        log.error({ err: error }, 'PostgreSQL stays down');
        void lock.release();
        options.onFailed?.(error);
      },
    });
    log.info(
      { pid: server.pid, directory, user: runtime.identity.description, version: installed.packageVersion },
      'embedded PostgreSQL is ready',
    );
    const connection: Connection = {
      host: socketDirectory,
      port: socketPort,
      user: applicationRole,
      password,
      database: applicationDatabase,
    };
    let stopped: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      await server.stop();
      await removeSocketDirectory(directory, socketDirectory);
      await lock.release();
    };
    return {
      connection,
      connectionString: connectionString(connection),
      get pid() {
        return server.pid;
      },
      stop() {
        stopped ??= stop();
        return stopped;
      },
    };
  } catch (cause) {
    await lock.release();
    throw systemErrorCode(cause) === undefined ? cause : pathError(directory, cause);
  }
}
