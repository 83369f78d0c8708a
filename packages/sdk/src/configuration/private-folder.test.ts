import assert from 'node:assert/strict';
import { chmod, link, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isGatehouseError } from '../errors.ts';
import { openPrivateFolder } from './private-folder.ts';

describe('a private folder', () => {
  let root: string;
  let count = 0;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'gatehouse-folder-'));
  });
  after(() => rm(root, { recursive: true }));
  const fresh = () => join(root, `state-${(count += 1)}`, 'deep');
  const refused = (text: string) => (error: unknown) => {
    assert.ok(isGatehouseError(error, 'agent_state_invalid'), String(error));
    assert.ok(error.message.includes(text), error.message);
    return true;
  };

  it('is made for its owner alone, and so is every file', async () => {
    const path = fresh();
    const folder = await openPrivateFolder(path);
    await folder.write('a', 'one');
    await folder.write('a', 'two');
    assert.equal((await stat(path)).mode & 0o777, 0o700);
    assert.equal((await stat(join(path, 'a'))).mode & 0o777, 0o600);
    assert.equal(String(await folder.read('a')), 'two');
    assert.equal(await folder.read('b'), undefined);
    assert.deepEqual(await readdir(path), ['a'], 'no temporary file is left');
    await folder.remove('a');
    await folder.remove('a');
    assert.deepEqual(await folder.list(), []);
  });

  it('lets one of many write a new file', async () => {
    const folder = await openPrivateFolder(fresh());
    const wins = await Promise.all(Array.from({ length: 10 }, (_, index) => folder.writeNew('x', String(index))));
    assert.equal(wins.filter(Boolean).length, 1);
    assert.equal(String(await folder.read('x')), String(wins.indexOf(true)));
    assert.deepEqual(await readdir(folder.path), ['x']);
  });

  it('refuses a folder or a file that others may use, and says how to mend it', async () => {
    for (const mode of [0o750, 0o705, 0o770, 0o701]) {
      const path = fresh();
      await mkdir(path, { recursive: true });
      await chmod(path, mode);
      await assert.rejects(openPrivateFolder(path), refused(`chmod 700 ${path}`));
      await chmod(path, 0o700);
      await openPrivateFolder(path);
    }
    const folder = await openPrivateFolder(fresh());
    await folder.write('key', 'secret');
    const file = join(folder.path, 'key');
    for (const mode of [0o640, 0o604, 0o620]) {
      await chmod(file, mode);
      await assert.rejects(folder.read('key'), refused(`chmod 600 ${file}`));
    }
  });

  it('refuses what is not a folder, and what is not a file', async () => {
    const path = fresh();
    await mkdir(join(path, '..'));
    await writeFile(path, '');
    await assert.rejects(openPrivateFolder(path), refused('cannot be used'));
    const folder = await openPrivateFolder(fresh());
    await writeFile(join(root, 'elsewhere'), 'planted', { mode: 0o600 });
    await symlink(join(root, 'elsewhere'), join(folder.path, 'link'));
    await assert.rejects(folder.read('link'), refused('is a link'));
    await mkdir(join(folder.path, 'folder'), { mode: 0o700 });
    await assert.rejects(folder.read('folder'), refused('is not a file'));
    await writeFile(join(folder.path, 'huge'), Buffer.alloc(8 * 1024 * 1024 + 1), { mode: 0o600 });
    await assert.rejects(folder.read('huge'), refused('larger than'));
  });

  it('replaces a link instead of writing through it', async () => {
    const folder = await openPrivateFolder(fresh());
    await writeFile(join(root, 'victim'), 'untouched', { mode: 0o600 });
    await symlink(join(root, 'victim'), join(folder.path, 'copy'));
    await folder.write('copy', 'mine');
    assert.equal(String(await folder.read('copy')), 'mine');
    await link(join(root, 'victim'), join(folder.path, 'hard'));
    await folder.write('hard', 'mine');
    assert.equal((await stat(join(root, 'victim'))).size, 'untouched'.length);
  });

  it('clears away what a killed process was writing, but not what another is writing now', async () => {
    const path = fresh();
    await openPrivateFolder(path);
    await writeFile(join(path, 'old.tmp'), 'half', { mode: 0o600 });
    await utimes(join(path, 'old.tmp'), new Date(0), new Date(0));
    await writeFile(join(path, 'new.tmp'), 'half', { mode: 0o600 });
    const folder = await openPrivateFolder(path);
    assert.deepEqual(await readdir(path), ['new.tmp']);
    assert.deepEqual(await folder.list(), []);
  });
});
