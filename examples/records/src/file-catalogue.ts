/**
 * Where files are kept: a row in SQLite and one encrypted file on disk. Nothing in either can be read without the
 * user's secret: the name is encrypted too. The owner's id, sizes and times are plain.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream, mkdirSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** A stored file, as the database knows it. */
export interface StoredFile {
  id: string;
  owner: string;
  nameSealed: Uint8Array;
  sizeBytes: number;
  createdAt: string;
}

/** The store of one instance. */
export interface FileCatalogue {
  /** A fresh id. It is part of what the file is bound to, so it must exist before the file is encrypted. */
  newId(): string;
  /** Writes the encrypted content; it counts only once `insert` was called. */
  write(id: string, content: AsyncIterable<Uint8Array>): Promise<void>;
  insert(file: StoredFile): void;
  find(id: string, owner: string): StoredFile | undefined;
  list(owner: string): StoredFile[];
  count(owner: string): number;
  read(id: string): AsyncIterable<Uint8Array>;
  remove(id: string, owner: string): Promise<boolean>;
  discard(id: string): Promise<void>;
  close(): void;
}

const columns = 'id, owner, name_sealed as nameSealed, size_bytes as sizeBytes, created_at as createdAt';

/** Opens the store, making it when it does not exist. */
export function openFileCatalogue(dataDir: string): FileCatalogue {
  const folder = join(dataDir, 'files');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(join(dataDir, 'records.db'));
  database.exec(`
    pragma journal_mode = wal;
    pragma synchronous = full;
    pragma busy_timeout = 5000;
    create table if not exists files (
      id text primary key, owner text not null, name_sealed blob not null,
      size_bytes integer not null, created_at text not null
    ) strict;
    create index if not exists files_by_owner on files (owner, created_at);
  `);
  const insertRow = database.prepare('insert into files values (?, ?, ?, ?, ?)');
  const findRow = database.prepare(`select ${columns} from files where id = ? and owner = ?`);
  const listRows = database.prepare(`select ${columns} from files where owner = ? order by created_at desc, id`);
  const countRows = database.prepare('select count(*) as count from files where owner = ?');
  const deleteRow = database.prepare('delete from files where id = ? and owner = ?');
  const pathOf = (id: string) => join(folder, id);

  return {
    newId: () => `file_${randomBytes(16).toString('hex')}`,
    async write(id, content) {
      const temporary = `${pathOf(id)}.tmp`;
      try {
        const file = await open(temporary, 'wx', 0o600);
        try {
          for await (const part of content) await file.writeFile(part);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, pathOf(id));
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    insert: (file) => void insertRow.run(file.id, file.owner, file.nameSealed, file.sizeBytes, file.createdAt),
    find: (id, owner) => findRow.get(id, owner) as StoredFile | undefined,
    list: (owner) => listRows.all(owner) as unknown as StoredFile[],
    count: (owner) => Number(countRows.get(owner)?.count),
    read: (id) => createReadStream(pathOf(id), { highWaterMark: 256 * 1024 }),
    async remove(id, owner) {
      const { changes } = deleteRow.run(id, owner);
      if (changes === 0) return false;
      await rm(pathOf(id), { force: true });
      return true;
    },
    discard: (id) => rm(pathOf(id), { force: true }),
    close: () => database.close(),
  };
}
