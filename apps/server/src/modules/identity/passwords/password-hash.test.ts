import assert from 'node:assert/strict';
import { pbkdf2Sync, randomBytes, scryptSync } from 'node:crypto';
import { test } from 'node:test';
import * as argon2 from '@node-rs/argon2';
import * as bcrypt from '@node-rs/bcrypt';
import { createSystemRandom } from '../../../kernel/index.ts';
import { createHashingQueue } from './hashing-queue.ts';
import { parseHash } from './password-hash.ts';
import { createPasswords } from './passwords.ts';

const password = 'correct horse battery staple 42';
const phc = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replace(/=+$/, '');
const passwords = createPasswords({ random: createSystemRandom() });

test('our own hashes are argon2id with OWASP’s parameters, salted, and need no upgrade', async () => {
  const [first, second] = await Promise.all([passwords.hash(password), passwords.hash(password)]);
  assert.match(first, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  assert.notEqual(first, second);
  assert.deepEqual(await passwords.verify(first, password), { ok: true });
  assert.deepEqual(await passwords.verify(first, `${password}x`), { ok: false });
});

test('two passwords that differ only after byte 72 differ', async () => {
  const hash = await passwords.hash(`${'long sentence '.repeat(7)}one`);
  assert.equal((await passwords.verify(hash, `${'long sentence '.repeat(7)}two`)).ok, false);
  assert.equal((await passwords.verify(hash, `${'long sentence '.repeat(7)}one`)).ok, true);
});

test('one password in two normal forms is one password', async () => {
  const hash = await passwords.hash('caf\u00e9 au lait, s\u2019il vous pla\u00eet');
  assert.equal((await passwords.verify(hash, 'cafe\u0301 au lait, s\u2019il vous plai\u0302t')).ok, true);
});

test('imported hashes of every kind are accepted and upgraded', async () => {
  const salt = randomBytes(16);
  const imported = {
    'bcrypt 2b': await bcrypt.hash(password, { cost: 4 }),
    'bcrypt 2a': await bcrypt.hash(password, { cost: 4, version: '2a' }),
    'bcrypt 2y': await bcrypt.hash(password, { cost: 4, version: '2y' }),
    scrypt: `$scrypt$ln=10,r=8,p=1$${phc(salt)}$${phc(scryptSync(password, salt, 32, { N: 1024, r: 8, p: 1 }))}`,
    'pbkdf2-sha256': `$pbkdf2-sha256$i=1000$${phc(salt)}$${phc(pbkdf2Sync(password, salt, 1000, 32, 'sha256'))}`,
    'pbkdf2-sha512 as passlib writes it': `$pbkdf2-sha512$1000$${phc(salt).replaceAll('+', '.')}$${phc(pbkdf2Sync(password, salt, 1000, 64, 'sha512')).replaceAll('+', '.')}`,
    'argon2id with less memory': await argon2.hash(password, { memoryCost: 4096, timeCost: 1 }),
  };
  for (const [kind, hash] of Object.entries(imported)) {
    assert.equal((await passwords.verify(hash, `${password}!`)).ok, false, kind);
    const { ok, upgradedHash } = await passwords.verify(hash, password);
    assert.equal(ok, true, kind);
    assert.match(upgradedHash ?? 'not upgraded', /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/, kind);
    assert.deepEqual(await passwords.verify(upgradedHash, password), { ok: true }, kind);
  }
});

test('bcrypt’s blind spot after 72 bytes opens nothing', async () => {
  const long = 'x'.repeat(72);
  const hash = await bcrypt.hash(`${long}one`, { cost: 4 });
  assert.equal(await bcrypt.verify(`${long}two`, hash), true, 'bcrypt itself cannot tell them apart');
  assert.equal((await passwords.verify(hash, `${long}two`)).ok, false);
});

test('hashes of unknown kinds and of unbounded cost are refused', () => {
  const salt = phc(randomBytes(16));
  const digest = phc(randomBytes(32));
  for (const hash of [
    '',
    'plain',
    '$1$abc$def',
    '5f4dcc3b5aa765d61d8327deb882cf99',
    `$2b$31$${'a'.repeat(53)}`,
    `$2x$10$${'a'.repeat(53)}`,
    `$scrypt$ln=30,r=8,p=1$${salt}$${digest}`,
    `$scrypt$ln=14,r=999,p=1$${salt}$${digest}`,
    `$pbkdf2-sha256$i=99999999$${salt}$${digest}`,
    `$pbkdf2-sha256$i=1$${salt}$${digest}`,
    `$pbkdf2-md5$i=1000$${salt}$${digest}`,
    `$argon2id$v=19$m=99999999,t=2,p=1$${salt}$${digest}`,
    `$argon2id$v=19$m=19456,t=9999,p=1$${salt}$${digest}`,
    `$argon2id$v=19$m=262144,t=3,p=1$${salt}$${digest}`,
    `$scrypt$ln=18,r=8,p=3$${salt}$${digest}`,
    `$pbkdf2-sha512$i=2000001$${salt}$${digest}`,
    `$2b$15$${'a'.repeat(53)}`,
    `$argon2id$v=19$m=19456,t=2,p=1$${salt}$${'a'.repeat(600)}`,
  ]) {
    assert.equal(parseHash(hash), undefined, hash);
  }
});

test('an unknown user is checked against a hash of the very same kind and cost', async () => {
  assert.deepEqual(await passwords.verify(undefined, password), { ok: false });
  assert.deepEqual(await passwords.verify('not a hash', password), { ok: false });
  assert.deepEqual(await passwords.verify(undefined, 'x'.repeat(100_000)), { ok: false });
});

test('the queue runs two at once, keeps the order, and refuses what does not fit with 503 and Retry-After', async () => {
  const run = createHashingQueue({ concurrency: 2, maxWaiting: 3 });
  const gates: (() => void)[] = [];
  const started: number[] = [];
  const work = (id: number) =>
    run(async () => {
      started.push(id);
      await new Promise<void>((resolve) => gates.push(resolve));
      return id;
    });
  const results = [1, 2, 3, 4, 5].map(work);
  await assert.rejects(work(6), (error: { code: string; status: number; headers: Record<string, string> }) => {
    assert.equal(error.code, 'identity.busy');
    assert.equal(error.status, 503);
    assert.ok(Number(error.headers['retry-after']) > 0);
    return true;
  });
  assert.deepEqual(started, [1, 2]);
  for (let done = 0; done < 5; done += 1) {
    gates.shift()?.();
    await results[done];
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(started, [1, 2, 3, 4, 5]);
  await assert.rejects(run(async () => Promise.reject(new Error('a failure gives its place back'))));
  assert.equal(await run(async () => 7), 7);
});
