import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { makeDirectory } from './data-dir.ts';

const folder = await mkdtemp(join(tmpdir(), 'gatehouse-data-dir-'));
after(() => rm(folder, { recursive: true, force: true }));

it('makes a data directory in which nobody else can replace a file, whatever the umask', async () => {
  const dataDir = join(folder, 'data');
  const before = process.umask(0);
  try {
    await makeDirectory(dataDir);
  } finally {
    process.umask(before);
  }
  for (const path of [dataDir, join(dataDir, 'postgres')]) assert.equal((await stat(path)).mode & 0o022, 0, path);
});
