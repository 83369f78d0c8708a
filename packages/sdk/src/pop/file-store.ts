/**
 * Keys in a folder, shared by the processes of one machine: one file a revision, `keys.<revision>.json`, mode 0600.
 *
 * There is no lock that a killed process could leave behind. The highest revision is the truth. To write revision n+1, a
 * process writes it completely to a temporary file and hard-links that to `keys.<n+1>.json`, which only one process can
 * do; then it removes the lower ones. A slow writer may take a number that was already used and removed, but then a
 * higher one exists: it looks again after linking, and withdraws.
 */
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { GatehouseError } from '../errors.ts';
import { createDocumentCodec } from './document-codec.ts';
import type { PopDocument, PopStore } from './pop-key.ts';

const revisionFile = /^keys\.(\d{1,15})\.json$/;
const staleTemporaryMilliseconds = 60_000;

/** Makes a store in a folder, which is made when missing. With `storeKey` (32 bytes, base64) the content is sealed. */
export function fileStore(folderPath: string, options: { storeKey?: Uint8Array | string } = {}): PopStore {
  const folder = resolve(folderPath);
  const codec = createDocumentCodec({ ...options, name: 'file' });

  async function highestRevision(): Promise<number> {
    try {
      const numbers = (await readdir(folder)).map((name) => Number(revisionFile.exec(name)?.[1] ?? 0));
      return Math.max(0, ...numbers);
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return 0;
      throw error;
    }
  }

  async function read(revision: number): Promise<PopDocument> {
    const file = fileOf(revision);
    const { mode } = await stat(file);
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new GatehouseError(
        'pop_store_unavailable',
        `${file} holds private keys and others may read it. Run: chmod 600 ${file}`,
      );
    }
    const document = codec.decode(await readFile(file, 'utf8'));
    if (document.revision !== revision) {
      throw new GatehouseError('pop_store_unavailable', `${file} holds revision ${document.revision}.`);
    }
    return document;
  }

  async function load(): Promise<PopDocument | undefined> {
    for (;;) {
      const revision = await highestRevision();
      if (revision === 0) return undefined;
      try {
        return await read(revision);
      } catch (error) {
        // Another process wrote a higher revision and removed this one meanwhile: look again.
        if (!isSystemError(error, 'ENOENT')) throw error;
      }
    }
  }

  async function save(next: PopDocument): Promise<boolean> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if ((await highestRevision()) !== next.revision - 1) return false;
    const temporary = join(folder, `${randomUUID()}.tmp`);
    try {
      await writeSynced(temporary, codec.encode(next));
      try {
        await link(temporary, fileOf(next.revision));
      } catch (error) {
        if (isSystemError(error, 'EEXIST')) return false;
        throw error;
      }
      if ((await highestRevision()) > next.revision) {
        await unlink(fileOf(next.revision)).catch(ignoreMissing);
        return false;
      }
      await syncFolder();
      await removeOld(next.revision, (await stat(temporary)).mtimeMs);
      return true;
    } finally {
      await unlink(temporary).catch(ignoreMissing);
    }
  }

  function fileOf(revision: number): string {
    return join(folder, `keys.${revision}.json`);
  }

  async function removeOld(revision: number, nowMs: number): Promise<void> {
    for (const name of await readdir(folder)) {
      const number = Number(revisionFile.exec(name)?.[1] ?? 0);
      const file = join(folder, name);
      if (number > 0 && number < revision) await unlink(file).catch(ignoreMissing);
      if (name.endsWith('.tmp')) {
        const written = await stat(file).catch(ignoreMissing);
        const isStale = written !== undefined && nowMs - written.mtimeMs > staleTemporaryMilliseconds;
        if (isStale) await unlink(file).catch(ignoreMissing);
      }
    }
  }

  async function syncFolder(): Promise<void> {
    if (process.platform === 'win32') return;
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  return { load: () => explained(load), save: (next) => explained(() => save(next)) };

  async function explained<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof GatehouseError) throw error;
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      throw new GatehouseError('pop_store_unavailable', `The folder ${folder} cannot be used (${code}).`, {
        cause: error,
      });
    }
  }
}

async function writeSynced(file: string, content: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isSystemError(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}

function ignoreMissing(error: unknown): undefined {
  if (isSystemError(error, 'ENOENT')) return undefined;
  throw error;
}
