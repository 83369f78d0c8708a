import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { type AgentKeys, makeAgentKeys, storageKeyOf } from './agent-keys.ts';
import { createLocalCopies, type KeptVersion, type LocalCopies, removeCopies, resealCopies } from './local-copy.ts';
import { createOneAtATime } from './one-at-a-time.ts';
import { openPrivateFolder, type PrivateFolder } from './private-folder.ts';

const owner = { issuer: 'https://id.example.com', organization: 'acme', service: 'billing', agentId: 'agt_1' };

function versionOf(version: number, namespace = 'default'): KeptVersion {
  return {
    namespace,
    version,
    hash: `hash-${version}`,
    publishedAt: '2026-01-01T00:00:00.000Z',
    kind: 'author',
    values: { HOST: `db-${version}`, PASS: 'canary-in-the-copy' },
    secretKeys: ['PASS'],
  };
}

describe('local copies', () => {
  let root: string;
  let folder: PrivateFolder;
  let keys: AgentKeys;
  let copies: LocalCopies;
  let count = 0;

  function copiesOf(agent = owner, by = keys, previous?: AgentKeys): LocalCopies {
    const current = storageKeyOf(by);
    const all = previous === undefined ? [current] : [current, storageKeyOf(previous)];
    return createLocalCopies({ folder, owner: agent, keys: () => ({ current, all }), exclusive: createOneAtATime() });
  }
  async function accept(version: number, namespace?: string): Promise<void> {
    await copies.saw(namespace ?? 'default', { version, hash: `hash-${version}` });
    await copies.keep(versionOf(version, namespace));
  }
  /** Puts the files of an earlier moment back. */
  async function snapshot(): Promise<(names: RegExp) => Promise<void>> {
    const kept = join(root, `snapshot-${(count += 1)}`);
    await cp(folder.path, kept, { recursive: true });
    return async (names) => {
      for (const name of await readdir(kept)) if (names.test(name)) await cp(join(kept, name), join(folder.path, name));
    };
  }

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'gatehouse-copies-'));
    keys = await makeAgentKeys(new Date(0));
  });
  after(() => rm(root, { recursive: true }));
  beforeEach(async () => {
    folder = await openPrivateFolder(join(root, `state-${(count += 1)}`));
    copies = copiesOf();
  });

  it('come back as they were, and show nothing on disk', async () => {
    assert.deepEqual(await copies.load('default'), {});
    await accept(3);
    await accept(4);
    await accept(9, 'other');
    const { copy, seen, refused } = await copiesOf().load('default');
    assert.deepEqual([copy, seen, refused], [versionOf(4), { version: 4, hash: 'hash-4' }, undefined]);
    const names = (await readdir(folder.path)).sort();
    assert.deepEqual(names, ['copy.default', 'copy.other', 'seen.default.4', 'seen.other.9']);
    for (const name of names) {
      const text = (await readFile(join(folder.path, name))).toString('latin1');
      for (const word of ['canary', 'db-4', 'PASS', 'hash-']) assert.ok(!text.includes(word), `${name} shows ${word}`);
    }
  });

  it('keep what was accepted when something newer was seen and rejected', async () => {
    await accept(4);
    await copies.saw('default', { version: 5, hash: 'hash-5' });
    const { copy, seen, refused } = await copies.load('default');
    assert.deepEqual([copy?.version, seen, refused], [4, { version: 5, hash: 'hash-5' }, undefined]);
    await copies.saw('default', { version: 2, hash: 'hash-2' });
    assert.equal((await copies.load('default')).seen?.version, 5, 'what was seen is not forgotten');
  });

  it('are refused when an earlier one was put back', async () => {
    await accept(4);
    const restore = await snapshot();
    await accept(5);
    await restore(/^copy\./);
    const state = await copies.load('default');
    assert.match(state.refused ?? '', /version 4, older than the last seen serial 5/);
    assert.deepEqual([state.copy, state.seen?.version], [undefined, 5]);
  });

  it('are refused when an earlier one was put back with its record beside the newer one', async () => {
    await accept(4);
    const restore = await snapshot();
    await accept(5);
    await restore(/./);
    assert.match((await copies.load('default')).refused ?? '', /older than the last seen serial 5/);
  });

  it('are refused without the record of the last seen serial', async () => {
    await accept(4);
    await folder.remove('seen.default.4');
    assert.match((await copies.load('default')).refused ?? '', /record .* is missing/);
  });

  it('cannot tell when everything of a namespace was put back: what is documented', async () => {
    await accept(4);
    const restore = await snapshot();
    await accept(5);
    await folder.remove('seen.default.5');
    await restore(/./);
    assert.equal((await copies.load('default')).copy?.version, 4);
  });

  it('are refused when any byte was changed, or a part is gone', async () => {
    await accept(4);
    for (const [name, pattern] of [
      ['copy.default', /local copy .* was changed/],
      ['seen.default.4', /record of the last seen serial .* was changed/],
    ] as const) {
      const file = join(folder.path, name);
      const good = await readFile(file);
      const positions = [0, 3, 4, 5, 20, 50, 60, good.length - 17, good.length - 1];
      for (const position of positions) {
        const changed = Buffer.from(good);
        changed[position] = (changed[position] ?? 0) ^ 1;
        await writeFile(file, changed);
        const state = await copies.load('default');
        assert.equal(state.copy, undefined, `byte ${position} of ${name}`);
        assert.match(state.refused ?? '', pattern);
      }
      for (const length of [0, 1, 10, good.length - 1]) {
        await writeFile(file, good.subarray(0, length));
        assert.match((await copies.load('default')).refused ?? '', pattern);
      }
      await writeFile(file, good);
    }
    assert.equal((await copies.load('default')).copy?.version, 4);
  });

  it('are refused in another place, and for another agent', async () => {
    await accept(4);
    await accept(4, 'other');
    const copy = await readFile(join(folder.path, 'copy.default'));
    await writeFile(join(folder.path, 'copy.other'), copy);
    assert.match((await copies.load('other')).refused ?? '', /was changed/);
    // A record in the place of a copy, and under a higher number.
    await writeFile(join(folder.path, 'copy.other'), await readFile(join(folder.path, 'seen.other.4')));
    assert.match((await copies.load('other')).refused ?? '', /was changed/);
    await folder.write('seen.default.7', (await folder.read('seen.default.4')) ?? '');
    assert.match((await copies.load('default')).refused ?? '', /was changed/);
    await folder.remove('seen.default.7');
    for (const change of [
      { agentId: 'agt_2' },
      { issuer: 'https://evil.example.com' },
      { organization: 'evil' },
      { service: 'shop' },
    ]) {
      assert.match((await copiesOf({ ...owner, ...change }).load('default')).refused ?? '', /belongs to another agent/);
    }
    assert.ok((await copiesOf(owner, await makeAgentKeys(new Date(0))).load('default')).refused);
  });

  it('are whole again after the next version, whatever was wrong', async () => {
    await accept(4);
    await writeFile(join(folder.path, 'copy.default'), 'x');
    await writeFile(join(folder.path, 'seen.default.4'), 'x');
    await folder.write('seen.default.900', 'x');
    assert.ok((await copies.load('default')).refused);
    await accept(5);
    const { copy, seen, refused } = await copies.load('default');
    assert.deepEqual([copy?.version, seen?.version, refused], [5, 5, undefined]);
  });

  it('survive a crash between copy and record', async () => {
    await accept(4);
    const restore = await snapshot();
    await accept(5);
    await folder.remove('seen.default.5');
    await restore(/^seen/);
    // As if the process had ended after the copy: newer than its record is good.
    assert.equal((await copies.load('default')).copy?.version, 5);
  });

  it('move to new keys as a whole, and then the old ones open nothing', async () => {
    await accept(4);
    await accept(9, 'other');
    const next = await makeAgentKeys(new Date(0));
    // Between: some are sealed anew, some not yet.
    const between = copiesOf(owner, next, keys);
    assert.equal((await between.load('default')).copy?.version, 4);
    await between.saw('default', { version: 5, hash: 'hash-5' });
    await between.keep(versionOf(5));
    assert.equal((await between.load('other')).copy?.version, 9);
    await resealCopies(folder, owner, [storageKeyOf(keys)], storageKeyOf(next));
    assert.equal((await copiesOf(owner, next).load('default')).copy?.version, 5);
    assert.equal((await copiesOf(owner, next).load('other')).copy?.version, 9);
    assert.ok((await copiesOf(owner, keys).load('other')).refused);
    await removeCopies(folder);
    assert.deepEqual(await folder.list(), []);
  });
});
