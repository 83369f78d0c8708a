/** Writing a rendered file: whole or not at all, with its mode and owner from the first moment. */
import { randomUUID } from 'node:crypto';
import { lstat, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CliError } from '../errors.ts';

/** A file as it is to be. */
export interface RenderedFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
  /** Undefined: whoever runs the agent. */
  readonly owner: number | undefined;
  readonly group: number | undefined;
}

/**
 * Writes a file if it is not as it is to be, and says whether it did. A reader sees the old content or the new, also
 * after a power cut: a temporary file beside it is flushed, renamed over it, and the folder flushed. A symbolic link of
 * that name is replaced, never followed.
 */
export async function writeRendered(file: RenderedFile): Promise<boolean> {
  if (await isAsWanted(file)) return false;
  const folder = dirname(file.path);
  const temporary = join(folder, `.${basename(file.path)}.${randomUUID()}.tmp`);
  try {
    await removeStale(folder, `.${basename(file.path)}.`);
    // Nobody else reads it before it has its owner and mode.
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(file.content);
      if (file.owner !== undefined || file.group !== undefined) {
        const { uid, gid } = await handle.stat();
        await handle.chown(file.owner ?? uid, file.group ?? gid);
      }
      await handle.chmod(file.mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file.path);
    await syncFolder(folder);
    return true;
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(file, error as NodeJS.ErrnoException);
  }
}

async function isAsWanted({ path, content, mode, owner, group }: RenderedFile): Promise<boolean> {
  try {
    const found = await lstat(path);
    if (!found.isFile() || found.size !== Buffer.byteLength(content) || (found.mode & 0o7777) !== mode) return false;
    if (found.uid !== (owner ?? process.getuid?.()) || (group !== undefined && found.gid !== group)) return false;
    return (await readFile(path)).equals(Buffer.from(content));
  } catch {
    return false;
  }
}

/** What an agent that was killed while it wrote has left: secrets, in a file that nobody would look for. */
async function removeStale(folder: string, prefix: string): Promise<void> {
  const uuidAndEnd = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;
  for (const name of await readdir(folder)) {
    if (name.startsWith(prefix) && uuidAndEnd.test(name.slice(prefix.length)))
      await rm(join(folder, name), { force: true });
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function fileError({ path }: RenderedFile, { code }: NodeJS.ErrnoException): CliError {
  const fixes: Readonly<Record<string, string>> = {
    ENOENT: `make the folder ${dirname(path)}`,
    EACCES: `let the user of the agent write the folder ${dirname(path)}`,
    EPERM: 'only root may give a file to another owner; a group must be one of the agent’s user',
    EISDIR: 'a folder has that name',
    EROFS: 'the file system is read-only: under systemd add the folder to ReadWritePaths=',
    ENOSPC: 'make room on the disk',
  };
  return new CliError('cli.file', `${path} cannot be written (${code}).`, {
    fix: fixes[code ?? ''] ?? 'check the path and its permissions',
  });
}
