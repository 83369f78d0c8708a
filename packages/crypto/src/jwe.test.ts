import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CompactEncrypt, compactDecrypt, importJWK } from 'jose';
import { contentAlgorithms, keyManagementAlgorithms } from './algorithms.ts';
import { CryptoError, isCryptoError } from './errors.ts';
import { generateKeyPair } from './generate-key-pair.ts';
import { judgePublicJwk } from './judge-jwk.ts';
import { decryptCompactJwe } from './jwe-decrypt.ts';
import { encryptCompactJwe } from './jwe-encrypt.ts';
import { importDecryptionKey, importSymmetricKey } from './key-objects.ts';

const recipients = await Promise.all([
  generateKeyPair('RSA-OAEP-256'),
  generateKeyPair('ECDH-ES+A256KW'),
  generateKeyPair('ECDH-ES+A256KW', { curve: 'X25519' }),
]);
const [rsa, ec, okp] = recipients;
const keys = recipients.map(({ privateJwk }) => importDecryptionKey(privateJwk));
const findKey = (kid: string | undefined) => keys.find((key) => key.kid === kid);
const cannotDecrypt = { code: 'crypto.cannot_decrypt', message: 'The content cannot be decrypted.' };

test('to each kind of key: we open what we write, and jose opens it too, and the other way round', async () => {
  for (const { publicJwk, privateJwk, kid, alg } of recipients) {
    const token = encryptCompactJwe({ jwk: publicJwk, plaintext: 'ünd', cty: 'text/plain', typ: 'x' });
    const { header, plaintext } = await decryptCompactJwe(token, { findKey, cty: 'text/plain', typ: 'x' });
    assert.equal(Buffer.from(plaintext).toString(), 'ünd');
    assert.deepEqual([header.alg, header.enc, header.kid], [alg, 'A256GCM', kid]);
    const foreign = await compactDecrypt(token, await importJWK(privateJwk as never, alg));
    assert.equal(Buffer.from(foreign.plaintext).toString(), 'ünd');
    const theirs = await new CompactEncrypt(Buffer.from('x'))
      .setProtectedHeader({ alg, enc: 'A256GCM', kid })
      .setKeyManagementParameters(alg.startsWith('ECDH') ? { apu: Buffer.from('Alice'), apv: Buffer.from('Bob') } : {})
      .encrypt(await importJWK(publicJwk as never, alg));
    assert.equal(Buffer.from((await decryptCompactJwe(theirs, { findKey })).plaintext).toString(), 'x');
  }
});

test('any length of plaintext comes back', async () => {
  const { jwk } = judgePublicJwk(rsa.publicJwk, { use: 'enc' });
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (plaintext) => {
      const opened = await decryptCompactJwe(encryptCompactJwe({ jwk, plaintext }), { findKey });
      assert.deepEqual(Buffer.from(opened.plaintext), Buffer.from(plaintext));
    }),
    { numRuns: 20 },
  );
});

test('a changed byte behind the header is one and the same error, wherever it is', async () => {
  for (const { publicJwk } of recipients) {
    const parts = encryptCompactJwe({ jwk: publicJwk, plaintext: 'secret' }).split('.');
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.nat(), fc.nat(7), async (part, at, bit) => {
        const bytes = Buffer.from(parts[part] ?? '', 'base64url');
        bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ (1 << bit);
        const token = parts.with(part, bytes.toString('base64url')).join('.');
        await assert.rejects(decryptCompactJwe(token, { findKey }), assertUntelling);
      }),
      { numRuns: 25 },
    );
    for (const part of [1, 2, 3, 4]) {
      const bytes = Buffer.from(parts[part] ?? '', 'base64url');
      for (const other of [
        bytes.subarray(1),
        bytes.subarray(0, -1),
        Buffer.concat([bytes, Buffer.of(0)]),
        Buffer.alloc(0),
      ]) {
        const token = parts.with(part, other.toString('base64url')).join('.');
        await assert.rejects(
          decryptCompactJwe(token, { findKey }),
          assertUntelling,
          `part ${part}, ${other.length} bytes`,
        );
      }
    }
  }
});

/** The one error: same code, same message, no cause and no field that says more. */
function assertUntelling(error: unknown): boolean {
  assert.ok(error instanceof CryptoError);
  assert.deepEqual({ code: error.code, message: error.message }, cannotDecrypt);
  assert.deepEqual([error.cause, error.field], [undefined, undefined]);
  return true;
}

test('an unknown key, a key for another algorithm and a wrong key are that same error', async () => {
  const token = encryptCompactJwe({ jwk: rsa.publicJwk, plaintext: 'x' });
  const other = importDecryptionKey((await generateKeyPair('RSA-OAEP-256')).privateJwk);
  await assert.rejects(decryptCompactJwe(token, { findKey: () => undefined }), assertUntelling);
  await assert.rejects(decryptCompactJwe(token, { findKey: () => other }), assertUntelling);
  await assert.rejects(
    decryptCompactJwe(token, { findKey: () => importDecryptionKey(ec.privateJwk) }),
    assertUntelling,
  );
  const { keyObject } = importDecryptionKey(ec.privateJwk);
  await assert.rejects(decryptCompactJwe(token, { findKey: () => ({ keyObject }) }), assertUntelling);
  const named = { ...importDecryptionKey(rsa.privateJwk), alg: 'RSA-OAEP' };
  await assert.rejects(decryptCompactJwe(token, { findKey: () => named }), assertUntelling);
});

test('a content key of another length than enc asks for is refused: RSA can carry any', async () => {
  const key = await importJWK(rsa.publicJwk as never, 'RSA-OAEP-256');
  const short = await new CompactEncrypt(Buffer.from('x'))
    .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A128GCM' })
    .encrypt(key);
  const [, encryptedKey = ''] = short.split('.');
  const parts = encryptCompactJwe({ jwk: rsa.publicJwk, plaintext: 'x' }).split('.');
  await assert.rejects(decryptCompactJwe(parts.with(1, encryptedKey).join('.'), { findKey }), assertUntelling);
});

test('default doors refuse SHA-1, direct agreement, symmetric keys and other content algorithms', async () => {
  const { alg: _alg, ...bare } = rsa.publicJwk;
  const sha1 = encryptCompactJwe({ jwk: bare, plaintext: 'x', alg: 'RSA-OAEP' });
  await assert.rejects(decryptCompactJwe(sha1, { findKey }), { code: 'crypto.algorithm_not_allowed', field: 'alg' });
  const { alg: _name, ...privateBare } = rsa.privateJwk;
  const key = importDecryptionKey(privateBare);
  const opened = await decryptCompactJwe(sha1, { findKey: () => key, algorithms: ['RSA-OAEP'] });
  assert.equal(Buffer.from(opened.plaintext).toString(), 'x');
  const ecKey = await importJWK(ec.publicJwk as never, 'ECDH-ES');
  const direct = await new CompactEncrypt(Buffer.from('x'))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM' })
    .encrypt(ecKey);
  await assert.rejects(decryptCompactJwe(direct, { findKey }), { field: 'alg' });
  const cbc = await new CompactEncrypt(Buffer.from('x'))
    .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256CBC-HS512', kid: ec.kid })
    .encrypt(await importJWK(ec.publicJwk as never, 'ECDH-ES+A256KW'));
  await assert.rejects(decryptCompactJwe(cbc, { findKey }), { code: 'crypto.algorithm_not_allowed', field: 'enc' });
  await decryptCompactJwe(cbc, { findKey, contentAlgorithms: ['A256CBC-HS512'] });
});

test('headers that ask for compression, extensions, passwords or nesting are refused before any key is used', async () => {
  const rest = 'AAAA.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA';
  const options = {
    findKey: () => assert.fail('no key may be looked for'),
    algorithms: keyManagementAlgorithms,
    contentAlgorithms,
  };
  const refused: readonly [object, string][] = [
    [{ zip: 'DEF' }, 'zip'],
    [{ zip: 'GZ' }, 'zip'],
    [{ crit: ['exp'] }, 'crit'],
    [{ cty: 'JWT' }, 'cty'],
    [{ alg: 'RSA1_5' }, 'alg'],
    [{ alg: 'PBES2-HS256+A128KW', p2c: 2_000_000_000, p2s: 'AAAA' }, 'alg'],
    [{ alg: 'none' }, 'alg'],
    [{ enc: 'A256GCMX' }, 'enc'],
    [{ enc: undefined }, 'enc'],
  ];
  for (const [extra, field] of refused) {
    const header = JSON.stringify({ alg: 'RSA-OAEP-256', enc: 'A256GCM', ...extra });
    const token = `${Buffer.from(header).toString('base64url')}.${rest}`;
    await assert.rejects(decryptCompactJwe(token, options), { field }, header);
  }
});

test('an ephemeral key off the curve, of low order, of another curve or with a private part opens nothing', async () => {
  for (const recipient of [ec, okp]) {
    const parts = encryptCompactJwe({ jwk: recipient.publicJwk, plaintext: 'x' }).split('.');
    const header = JSON.parse(Buffer.from(parts[0] ?? '', 'base64url').toString()) as { epk: { x: string } };
    const zero = Buffer.alloc(32).toString('base64url');
    const other = recipient === ec ? okp.publicJwk : ec.publicJwk;
    for (const epk of [{ ...header.epk, x: zero }, other, { ...header.epk, d: zero }, {}, null, 'x', undefined]) {
      const head = Buffer.from(JSON.stringify({ ...header, epk })).toString('base64url');
      await assert.rejects(decryptCompactJwe(parts.with(0, head).join('.'), { findKey }), assertUntelling);
    }
  }
});

test('whatever bytes come in, what comes out is an error of ours', async () => {
  const part = fc.oneof(
    fc.base64String(),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
  );
  const anything = fc.oneof(
    fc.string(),
    fc.array(part, { minLength: 4, maxLength: 6 }).map((parts) => parts.join('.')),
  );
  await fc.assert(
    fc.asyncProperty(anything, async (token) => {
      await assert.rejects(decryptCompactJwe(token, { findKey }), (error) => isCryptoError(error));
    }),
    { numRuns: 200 },
  );
  await assert.rejects(decryptCompactJwe('.'.repeat(4), { findKey, maxBytes: 3 }), { code: 'crypto.too_large' });
});

test('we encrypt to judged keys only', () => {
  const encrypt = (jwk: object) => () => encryptCompactJwe({ jwk: jwk as never, plaintext: 'x' });
  assert.throws(encrypt(rsa.privateJwk), { code: 'crypto.private_key_exposed' });
  assert.throws(encrypt({ ...rsa.publicJwk, e: 'AQ' }), { code: 'crypto.weak_key' });
  assert.throws(encrypt({ ...rsa.publicJwk, use: 'sig' }), { code: 'crypto.invalid_key' });
  assert.throws(encrypt({ ...rsa.publicJwk, alg: 'RSA-OAEP' }), { code: 'crypto.algorithm_not_allowed' });
  assert.throws(encrypt({ kty: 'oct', k: 'AAAA' }), { code: 'crypto.private_key_exposed' });
  assert.throws(() => importSymmetricKey({ kty: 'oct', k: 'AAAA' }, 'enc'), { code: 'crypto.weak_key' });
});
