import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';
import { tryLock } from './lock.ts';
import type { PostgresLog } from './server.ts';

const prefix = 'gatehouse-test-';
/** A directory without a lock file may be one that another process is just beginning. */
const youngMs = 60_000;

/**
 * A server for tests in a directory of its own, which `stop()` removes. A killed process cannot remove its directory; the
 * next call does it.
 */
export async function startTemporaryPostgres(options: { log?: PostgresLog } = {}): Promise<EmbeddedPostgres> {
  await removeAbandoned(tmpdir());
  const dataDir = await mkdtemp(join(tmpdir(), prefix));
  const remove = (): Promise<void> => rm(dataDir, { recursive: true, force: true });
  let server: EmbeddedPostgres;
  try {
    server = await startEmbeddedPostgres({ ...options, dataDir, ephemeral: true });
  } catch (cause) {
    await remove();
    throw cause;
  }
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await server.stop();
    await remove();
  };
  return {
    connection: server.connection,
    connectionString: server.connectionString,
    get pid() {
      return server.pid;
    },
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** Removes what killed test processes left in `parent`. One that is in use, or not ours, is left alone. */
export async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix)) await removeIfFree(join(parent, name)).catch(() => undefined);
  }
}

async function removeIfFree(dataDir: string): Promise<void> {
  const lockPath = join(dataDir, 'postgres', 'lock');
  const hasLock = await stat(lockPath).then(
    () => true,
    () => false,
  );
  if (!hasLock) {
    const { mtimeMs } = await stat(dataDir);
    if (Date.now() - mtimeMs > youngMs) await rm(dataDir, { recursive: true, force: true });
    return;
  }
  const lock = await tryLock(lockPath);
  if (!('fd' in lock)) return;
  try {
    await rm(dataDir, { recursive: true, force: true });
  } finally {
    await lock.release();
  }
}
