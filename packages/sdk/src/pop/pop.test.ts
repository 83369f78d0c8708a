import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { encryptCompactJwe, generateKeyPair } from '@gatehouse/crypto';
import { createFakeClock } from '@gatehouse/testkit';
import { sealTo } from '../client/seal.ts';
import { fileStore } from './file-store.ts';
import { memoryStore } from './memory-store.ts';
import { createPop, type Pop, type PopOptions } from './pop.ts';
import type { PopDocument, PopPolicy } from './pop-key.ts';

// Elliptic keys, because RSA keys take a tenth of a second each.
const policy: PopPolicy = { keys: [{ use: 'enc', alg: 'ECDH-ES+A256KW', validitySeconds: 60, legacySeconds: 600 }] };

describe('createPop', () => {
  const opened: Pop[] = [];
  const make = async (options: Partial<PopOptions> = {}) => {
    const pop = await createPop({ store: memoryStore(), policy, ...options });
    opened.push(pop);
    return pop;
  };
  after(() => {
    for (const pop of opened) pop.close();
  });

  it('by default makes RSA keys that others can seal to', async () => {
    const pop = await make({ policy: {} });
    const { body } = pop.jwks();
    assert.equal(body.keys.length, 1);
    assert.equal(body.keys[0]?.alg, 'RSA-OAEP-256');
    const result = await pop.open(await sealTo(body, 'hello'));
    assert.equal(Buffer.from(result.plaintext).toString(), 'hello');
    assert.equal(result.kid, body.keys[0]?.kid);
  });

  it('shows no private member', async () => {
    const pop = await make({
      policy: {
        keys: [
          { use: 'enc', alg: 'RSA-OAEP-256' },
          { use: 'sig', alg: 'ES256' },
        ],
      },
    });
    for (const text of [JSON.stringify(pop.jwks()), JSON.stringify(pop.list())]) {
      assert.doesNotMatch(text, /"(d|p|q|dp|dq|qi|k)":/);
    }
    const kid = pop.jwks().body.keys[0]?.kid ?? '';
    assert.match(pop.pem(kid) ?? '', /^-----BEGIN PUBLIC KEY-----/);
    assert.equal(pop.pem('unknown'), undefined);
  });

  it('opens old messages after rotations, until their key expires', async () => {
    const clock = createFakeClock();
    const pop = await make({ clock });
    const old = await sealTo(pop.jwks().body, 'old');
    const etag = pop.jwks().etag;
    clock.advance(61);
    assert.equal(await pop.rotate(), true);
    assert.notEqual(pop.jwks().etag, etag);
    assert.equal(await pop.rotate(), false);
    assert.equal(await pop.rotate({ force: true }), true);
    assert.equal(Buffer.from((await pop.open(old)).plaintext).toString(), 'old');
    clock.advance(539);
    await assert.rejects(pop.open(old), { code: 'sealed_cannot_open' });
  });

  it('tells what is wrong with the form, and one thing for all that does not open', async () => {
    const pop = await make();
    const stranger = await generateKeyPair('ECDH-ES+A256KW');
    const good = await sealTo(pop.jwks().body, 'x');
    const [key] = pop.jwks().body.keys;
    const parts = good.split('.');
    const changed = [...parts.slice(0, 3), Buffer.from('y').toString('base64url'), parts[4]].join('.');
    const otherKey = encryptCompactJwe({ jwk: stranger.publicJwk, plaintext: 'x' });
    const otherKeyOurKid = encryptCompactJwe({ jwk: stranger.publicJwk, plaintext: 'x', kid: key?.kid ?? '' });
    const messages = new Set<string>();
    for (const jwe of [changed, otherKey, otherKeyOurKid]) {
      const error = await pop.open(jwe).then(
        () => assert.fail('it opened'),
        (reason: Error) => reason,
      );
      messages.add(`${(error as { code?: string }).code} ${error.message}`);
    }
    assert.equal(messages.size, 1);
    assert.match([...messages][0] ?? '', /^sealed_cannot_open /);
    for (const text of ['', 'a.b.c', 'no', `${good}.x`])
      await assert.rejects(pop.open(text), { code: 'sealed_malformed' });
    const nested = encryptCompactJwe({ jwk: stranger.publicJwk, plaintext: 'x', cty: 'JWT' });
    await assert.rejects(pop.open(nested), { code: 'sealed_malformed' });
    await assert.rejects(pop.open(good, { maxBytes: 10 }), { code: 'sealed_too_large' });
  });

  it('tries its keys when a message names none', async () => {
    const pop = await make();
    await pop.rotate({ force: true });
    const [jwk] = pop.jwks().body.keys;
    assert.ok(jwk);
    const { kid, ...unnamed } = jwk;
    assert.equal((await pop.open(encryptCompactJwe({ jwk: unnamed, plaintext: 'x' }))).kid, kid);
    const stranger = await generateKeyPair('ECDH-ES+A256KW');
    const { kid: _stranger, ...nobody } = stranger.publicJwk;
    await assert.rejects(pop.open(encryptCompactJwe({ jwk: nobody, plaintext: 'x' })), { code: 'sealed_cannot_open' });
  });

  it('signs with its valid signature key', async () => {
    const pop = await make({ policy: { keys: [{ use: 'sig', alg: 'ES256' }] } });
    const [header = ''] = (await pop.sign({ a: 1 }, { typ: 'JWT' })).split('.');
    const { kid, typ } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string; typ: string };
    assert.equal(pop.list().find((key) => key.kid === kid)?.state, 'valid');
    assert.equal(typ, 'JWT');
    await assert.rejects((await make()).sign({}, { typ: 'JWT' }), { code: 'pop_no_key' });
  });

  it('goes on when a pass fails, and says so', async () => {
    const store = memoryStore();
    const pop = await make({ store });
    const sealed = await sealTo(pop.jwks().body, 'x');
    store.load = () => Promise.reject(new Error('the store is down'));
    await assert.rejects(pop.rotate(), /the store is down/);
    assert.equal((await pop.open(sealed)).plaintext.length, 1);
  });

  it('rotates once when several instances share a store', async () => {
    const clock = createFakeClock();
    const store = memoryStore();
    const pops = await Promise.all([make({ clock, store }), make({ clock, store }), make({ clock, store })]);
    assert.equal(new Set(pops.map((pop) => pop.jwks().etag)).size, 1);
    clock.advance(61);
    await Promise.all(pops.map((pop) => pop.rotate()));
    assert.equal((await store.load())?.revision, 2);
    assert.equal(new Set(pops.map((pop) => pop.jwks().etag)).size, 1);
    await Promise.all(pops.map((pop) => pop.rotate({ force: true })));
    assert.equal((await store.load())?.revision, 3);
  });

  it('finds a key that another instance has just made', async () => {
    const clock = createFakeClock();
    const store = memoryStore();
    const [one, other] = [await make({ clock, store }), await make({ clock, store })];
    await one.rotate({ force: true });
    await one.rotate({ force: true });
    const sealed = await sealTo(one.jwks().body, 'x');
    assert.equal((await other.open(sealed)).plaintext.length, 1);
  });
});

describe('fileStore', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-sdk-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('keeps the keys over a restart, readable by the owner alone', async () => {
    const path = join(folder, 'kept/pop');
    const first = await createPop({ store: fileStore(path), policy });
    const sealed = await sealTo(first.jwks().body, 'x');
    first.close();
    const second = await createPop({ store: fileStore(path), policy });
    second.close();
    assert.equal((await second.open(sealed)).plaintext.length, 1);
    assert.deepEqual(await readdir(path), ['keys.1.json']);
    assert.equal((await stat(join(path, 'keys.1.json'))).mode & 0o777, 0o600);
  });

  it('seals the content under a store key, and refuses to start with another or none', async () => {
    const path = join(folder, 'sealed');
    const storeKey = Buffer.alloc(32, 7).toString('base64');
    const pop = await createPop({ store: fileStore(path, { storeKey }), policy });
    pop.close();
    const text = await readFile(join(path, 'keys.1.json'), 'utf8');
    assert.match(text, /^gatehouse-pop-1\.[\w-]+$/);
    const other = Buffer.alloc(32, 8).toString('base64');
    for (const options of [{}, { storeKey: other }]) {
      await assert.rejects(createPop({ store: fileStore(path, options), policy }), { code: 'pop_store_unavailable' });
    }
    assert.deepEqual(await readdir(path), ['keys.1.json']);
    assert.throws(() => fileStore(path, { storeKey: 'short' }), { code: 'configuration_invalid' });
  });

  it('refuses what it cannot trust instead of making new keys', async () => {
    const path = join(folder, 'broken');
    (await createPop({ store: fileStore(path), policy })).close();
    const file = join(path, 'keys.1.json');
    await chmod(file, 0o644);
    await assert.rejects(fileStore(path).load(), { code: 'pop_store_unavailable', message: /chmod 600/ });
    await chmod(file, 0o600);
    await writeFile(file, '{"version":1');
    await assert.rejects(createPop({ store: fileStore(path), policy }), { code: 'pop_store_unavailable' });
    await rm(file);
    await writeFile(path.replace('broken', 'a-file'), '');
    await assert.rejects(fileStore(join(folder, 'a-file')).load(), { message: /ENOTDIR/ });
  });

  it('lets exactly one of many writers have a revision, and never goes back', async () => {
    const path = join(folder, 'raced');
    const document = (revision: number): PopDocument => ({ version: 1, revision, updatedAt: '', keys: [] });
    for (let revision = 1; revision <= 10; revision++) {
      const results = await Promise.all(Array.from({ length: 5 }, () => fileStore(path).save(document(revision))));
      assert.equal(results.filter(Boolean).length, 1);
      assert.equal((await fileStore(path).load())?.revision, revision);
    }
    assert.equal(await fileStore(path).save(document(5)), false);
    assert.equal(await fileStore(path).save(document(12)), false);
    assert.deepEqual(await readdir(path), ['keys.10.json']);
  });

  it('is shared by processes, also when they are killed while they write', async () => {
    const path = join(folder, 'processes');
    const worker = new URL('../testing/rotate-forever.ts', import.meta.url);
    const children = Array.from({ length: 3 }, () =>
      fork(worker, [path], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
    );
    let highest = 0;
    await new Promise<void>((resolve) => {
      for (const child of children) {
        child.on('message', (revision) => {
          highest = Math.max(highest, Number(revision));
          if (highest >= 30) resolve();
        });
      }
    });
    await Promise.all(
      children.map(async (child) => {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }),
    );
    // What a process was told is written is there, whole; at most the write in flight is further on.
    const stored = await fileStore(path).load();
    assert.ok(stored !== undefined && stored.revision >= highest, `${stored?.revision} >= ${highest}`);
    const pop = await createPop({ store: fileStore(path), policy });
    pop.close();
    assert.equal(await pop.rotate({ force: true }), true);
    assert.equal((await fileStore(path).load())?.revision, stored.revision + 2); // the first keys, then the forced rotation
  });
});
