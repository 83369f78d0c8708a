import { constants } from 'node:fs';
import { link, mkdir, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SettingsError } from '../../config.ts';

/** Where the provider `file` keeps the root key. */
export function rootKeyPath(dataDir: string): string {
  return join(dataDir, 'root.key');
}

/** Where the provider `file` looks for the root key that is being replaced. */
export function previousRootKeyPath(dataDir: string): string {
  return join(dataDir, 'root.key.previous');
}

/**
 * Reads a root key; undefined when there is no such file. Refuses a file that others may read or write, one that
 * belongs to someone else, and one whose content is not a key.
 */
export async function readRootKeyFile(path: string): Promise<Uint8Array | undefined> {
  const file = await open(path, constants.O_RDONLY).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new SettingsError(`The root key ${path} cannot be read (${error.code}). Check its owner and permissions.`);
  });
  if (!file) return undefined;
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0) {
      throw new SettingsError(
        `The root key ${path} can be read or changed by others (mode 0${(mode & 0o777).toString(8)}). Whoever may have read it can open the store: if that is possible, replace the key (docs/guides/keys-and-rotation.md); then run: chmod 600 ${path}`,
      );
    }
    const text = size > 256 ? '' : (await file.readFile('utf8')).trim();
    return parseRootKey(text, `The file ${path}`);
  } finally {
    await file.close();
  }
}

/** 32 bytes in base64url, as the provider `env` takes it too. */
export function parseRootKey(text: string, where: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url');
  if (!/^[A-Za-z0-9_-]{43}=?$/.test(text) || bytes.length !== 32) {
    throw new SettingsError(
      `${where} does not hold a root key (32 bytes in base64url). If it was damaged, restore it from your backup; Gatehouse does not make a new one in its place.`,
    );
  }
  return new Uint8Array(bytes);
}

/**
 * Writes a root key where there is none: whole or not at all, mode 0600, on disk before this returns.
 * False when another process was first; its file is left alone.
 */
export async function createRootKeyFile(path: string, key: Uint8Array, nonce: string): Promise<boolean> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = `${path}.${nonce}.new`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.chmod(0o600); // whatever the umask
    await file.writeFile(`${Buffer.from(key).toString('base64url')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(draft, path); // fails if the name is taken, where a rename would replace it
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
  const directory = await open(folder, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
  return true;
}
