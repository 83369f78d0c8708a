/**
 * A folder that only its owner may read: 0700, every file 0600. A file is written whole or not at all: to a temporary
 * name, flushed, renamed, and the folder flushed, so that a power cut leaves the old one or the new one.
 */
import { randomUUID } from 'node:crypto';
import { constants, link, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { GatehouseError } from '../errors.ts';

const staleTemporaryMilliseconds = 60_000;
const maxFileBytes = 8 * 1024 * 1024;
const hasModes = process.platform !== 'win32';

/** An opened folder. Everything rejects with `agent_state_invalid` and says what to do. */
export interface PrivateFolder {
  readonly path: string;
  /** The names of its files. */
  list(): Promise<string[]>;
  /** The content of a file, or undefined when it is not there. */
  read(name: string): Promise<Buffer | undefined>;
  /** Writes a file in place of the one that is there. */
  write(name: string, content: Uint8Array | string): Promise<void>;
  /** Writes a file that must not be there; false when it is. Of several processes one wins. */
  writeNew(name: string, content: Uint8Array | string): Promise<boolean>;
  /** Removes a file if it is there. */
  remove(name: string): Promise<void>;
}

/** Opens a folder, which is made when missing; refuses one that others may read or write. */
export async function openPrivateFolder(folder: string): Promise<PrivateFolder> {
  const path = resolve(folder);

  async function writeTemporary(content: Uint8Array | string): Promise<string> {
    const temporary = join(path, `${randomUUID()}.tmp`);
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error;
    } finally {
      await handle.close();
    }
    return temporary;
  }

  async function syncFolder(): Promise<void> {
    if (!hasModes) return;
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** What a killed process left behind. */
  async function removeStale(): Promise<void> {
    for (const name of await readdir(path)) {
      if (!name.endsWith('.tmp')) continue;
      const file = join(path, name);
      const written = await stat(file).catch(() => undefined);
      if (written !== undefined && Date.now() - written.mtimeMs > staleTemporaryMilliseconds) {
        await unlink(file).catch(() => undefined);
      }
    }
  }

  const explained = async <T>(run: () => Promise<T>): Promise<T> => {
    try {
      return await run();
    } catch (error) {
      throw stateError(path, error);
    }
  };

  await explained(async () => {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await assertOwnFolder(path);
    await removeStale();
  });

  return {
    path,
    list: () => explained(async () => (await readdir(path)).filter((name) => !name.endsWith('.tmp'))),
    read: (name) => explained(() => readOwnFile(join(path, name))),
    write: (name, content) =>
      explained(async () => {
        await rename(await writeTemporary(content), join(path, name));
        await syncFolder();
      }),
    writeNew: (name, content) =>
      explained(async () => {
        const temporary = await writeTemporary(content);
        try {
          await link(temporary, join(path, name));
        } catch (error) {
          if (codeOf(error) === 'EEXIST') return false;
          throw error;
        } finally {
          await unlink(temporary).catch(() => undefined);
        }
        await syncFolder();
        return true;
      }),
    remove: (name) =>
      explained(async () => {
        try {
          await unlink(join(path, name));
        } catch (error) {
          if (codeOf(error) !== 'ENOENT') throw error;
        }
      }),
  };
}

async function assertOwnFolder(path: string): Promise<void> {
  const found = await stat(path);
  if (!found.isDirectory()) throw stateInvalid(`${path} is not a folder. Name another stateDir.`);
  if (!hasModes) return;
  assertOwner(path, found.uid);
  if ((found.mode & 0o077) !== 0) {
    throw stateInvalid(`${path} holds private keys and others may use it. Run: chmod 700 ${path}`);
  }
}

/** Reads a file through one descriptor, so that what is judged is what is read; a link is not followed. */
async function readOwnFile(path: string): Promise<Buffer | undefined> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(path, hasModes ? constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK : 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (codeOf(error) === 'ELOOP') throw stateInvalid(`${path} is a link. Put the file itself there, or remove it.`);
    throw error;
  }
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw stateInvalid(`${path} is not a file. Remove it.`);
    if (found.size > maxFileBytes) throw stateInvalid(`${path} is larger than ${maxFileBytes} bytes. Remove it.`);
    if (hasModes) {
      assertOwner(path, found.uid);
      if ((found.mode & 0o077) !== 0) {
        throw stateInvalid(`${path} is private and others may read or write it. Run: chmod 600 ${path}`);
      }
    }
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

function assertOwner(path: string, uid: number): void {
  const own = process.getuid?.();
  if (own !== undefined && uid !== own) {
    throw stateInvalid(`${path} belongs to user ${uid}, this program runs as ${own}. Run: chown -R ${own} ${path}`);
  }
}

/** The error of a state folder that cannot be used. */
export function stateInvalid(message: string, cause?: unknown): GatehouseError {
  return new GatehouseError('agent_state_invalid', message, cause === undefined ? {} : { cause });
}

function stateError(path: string, error: unknown): GatehouseError {
  if (error instanceof GatehouseError) return error;
  const code = codeOf(error) ?? 'unknown error';
  const fix: Record<string, string> = {
    EACCES: ' Let this program’s user own it, or name another stateDir.',
    EROFS: ' It is on a read-only file system: name another stateDir.',
    ENOSPC: ' The disk is full.',
  };
  return stateInvalid(`The state folder ${path} cannot be used (${code}).${fix[code] ?? ''}`, error);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
