import { createHash } from 'node:crypto';
import { chmod, chown, lstat, mkdir, readdir, rm } from 'node:fs/promises';
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
    await makeOwned(beside, identity);
    return beside;
  }
  const hash = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  const short = `/tmp/gatehouse-${identity.fileUid}-${hash}`;
  await makeOwned(short, identity);
  return short;
}

/** Removes the directory when it is not beside the data. */
export async function removeSocketDirectory(directory: string, socketDirectory: string): Promise<void> {
  if (!socketDirectory.startsWith(directory)) await rm(socketDirectory, { recursive: true, force: true });
}

async function makeOwned(path: string, identity: Identity): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
    await chown(path, identity.fileUid, identity.fileGid);
  } catch (cause) {
    if (systemErrorCode(cause) !== 'EEXIST') throw cause;
  }
  const stat = await lstat(path);
  const ours = process.geteuid?.();
  // In /tmp anybody may have made it before us, to be where our clients connect to.
  if (!stat.isDirectory() || (stat.uid !== identity.fileUid && stat.uid !== ours)) {
    throw new EmbeddedPostgresError(
      'data_dir_unusable',
      `The socket directory ${path} belongs to somebody else (uid ${stat.uid}). Remove it, or choose a data directory with a shorter path.`,
    );
  }
  await chown(path, identity.fileUid, identity.fileGid);
  await chmod(path, 0o700);
  // Left by a server that was killed. Nobody listens there any more: the lock of the data directory is ours.
  for (const entry of await readdir(path)) await rm(join(path, entry), { recursive: true, force: true });
}
