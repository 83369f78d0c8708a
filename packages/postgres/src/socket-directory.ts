import { createHash } from 'node:crypto';
import { chown, lstat, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedPostgresError, systemErrorCode } from './error.ts';
import type { Identity } from './identity.ts';

/** The address of a unix socket has 104 bytes on macOS, 108 on Linux; `/.s.PGSQL.5432` and a zero byte take 15. */
const maxBytes = 104 - 15;

/**
 * The directory of the socket, which only PostgreSQL's user (and root) may enter: beside the data, or under /tmp when the
 * path of the data is too long for a socket address. The same one at each start, so that nothing is left behind.
 */
export async function prepareSocketDirectory(directory: string, identity: Identity): Promise<string> {
  const beside = join(directory, 'socket');
  if (Buffer.byteLength(beside) <= maxBytes) {
    // What a killed server left; nobody listens there any more, since the lock of the directory is ours.
    await rm(beside, { recursive: true, force: true });
    await makeOwned(beside, identity);
    return beside;
  }
  const hash = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  const short = `/tmp/gatehouse-${identity.fileUid}-${hash}`;
  await removeOurs(short, identity);
  await makeOwned(short, identity);
  return short;
}

/** Removes the directory when it is not beside the data. */
export async function removeSocketDirectory(directory: string, socketDirectory: string): Promise<void> {
  if (!socketDirectory.startsWith(directory)) await rm(socketDirectory, { recursive: true, force: true });
}

async function makeOwned(path: string, identity: Identity): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  await chown(path, identity.fileUid, identity.fileGid);
}

/** In /tmp anybody may have made it before us, to be where our clients connect to. */
async function removeOurs(path: string, identity: Identity): Promise<void> {
  const stat = await lstat(path).catch((cause: unknown) => {
    if (systemErrorCode(cause) === 'ENOENT') return undefined;
    throw cause;
  });
  if (stat === undefined) return;
  const ours = stat.uid === identity.fileUid || stat.uid === process.geteuid?.();
  if (!ours) {
    throw new EmbeddedPostgresError(
      'data_dir_unusable',
      `The socket directory ${path} belongs to somebody else (uid ${stat.uid}). Remove it, or choose a data directory with a shorter path.`,
    );
  }
  await rm(path, { recursive: true });
}
