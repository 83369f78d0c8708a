/** Wycheproof and the RFC 7520 cookbook through our own doors, all of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompactEncrypt, compactDecrypt, importJWK } from 'jose';
import {
  CryptoError,
  decryptCompactJwe,
  type EncryptAlgorithm,
  encryptCompactJwe,
  importDecryptionKey,
  importSigningKey,
  importSymmetricKey,
  importVerificationKey,
  type JsonObject,
  type JwtClaims,
  judgePublicJwk,
  jwkThumbprint,
  type OctJwk,
  type PrivateJwk,
  type PublicJwk,
  parseJwtClaims,
  publicJwkOf,
  publicJwkToPem,
  signCompactJws,
  verifyCompactJws,
} from '../src/index.ts';
import type { AcceptedDifferences } from './accepted-differences.ts';
import { cookbookCases, readVectors, type VectorCase, wycheproofCases } from './vector-cases.ts';
import { isDefault, throughDefaultDoor, throughWideDoor } from './vector-doors.ts';

const accepted = readVectors('accepted-differences.json') as unknown as AcceptedDifferences;
const listed = new Map(accepted.differences.flatMap(({ vectors }) => Object.entries(vectors)));

/** Every case through both doors: the differences found must be exactly those listed. */
async function assertAsPublished(cases: readonly VectorCase[], prefix: string): Promise<void> {
  const found = new Map<string, string>();
  const broken: string[] = [];
  for (const vector of cases) {
    const wide = await throughWideDoor(vector);
    const narrow = await throughDefaultDoor(vector);
    if (wide.accepted !== (vector.expected === 'valid')) found.set(vector.id, wide.accepted ? 'accepted' : wide.code);
    if (wide.accepted && vector.content !== undefined && !Buffer.from(wide.content).equals(vector.content)) {
      broken.push(`${vector.id}: other content`);
    }
    const isNarrow = wide.accepted && isDefault(vector.kind, wide.alg, wide.enc);
    if (narrow.accepted !== isNarrow)
      broken.push(`${vector.id}: the default door ${narrow.accepted ? 'accepts' : 'refuses'} it`);
  }
  assert.deepEqual(broken, []);
  const expected = [...listed].filter(([id]) => id.startsWith(prefix));
  assert.deepEqual(Object.fromEntries(found), Object.fromEntries(expected));
}

test('Wycheproof: all 649 JSON web vectors come out as published or as listed', async () => {
  const cases = wycheproofCases();
  assert.equal(cases.length, 649);
  await assertAsPublished(cases, 'wycheproof/');
});

test('RFC 7520 cookbook: every serialization of every example comes out as published or as listed', async () => {
  const cases = cookbookCases();
  assert.equal(cases.length, 65);
  await assertAsPublished(cases, 'jose-cookbook/');
});

test('every listed difference names a vector that exists, once', () => {
  const ids = new Set([...wycheproofCases(), ...cookbookCases()].map(({ id }) => id));
  const names = accepted.differences.flatMap(({ vectors }) => Object.keys(vectors));
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(
    names.filter((id) => !ids.has(id)),
    [],
  );
});

test('RFC 7520 §4.1: the deterministic signature is reproduced byte for byte', async () => {
  const cookbook = readVectors('jose-cookbook/jws/4_1.rsa_v15_signature.json') as unknown as {
    input: { key: PrivateJwk; payload: string };
    output: { compact: string };
  };
  const key = importSigningKey(cookbook.input.key, 'RS256');
  assert.equal(await signCompactJws({ key, payload: cookbook.input.payload }), cookbook.output.compact);
});

test('RFC 7520 §6: a JWS nested in a JWE opens only for those who expect it', async () => {
  const file = readVectors('jose-cookbook/6.nesting_signatures_and_encryption.json') as unknown as {
    sign: { input: { key: PrivateJwk; payload: string } };
    encrypt: { input: { key: PrivateJwk }; output: { compact: string } };
  };
  const decryptionKey = importDecryptionKey(file.encrypt.input.key, 'RSA-OAEP');
  const options = {
    findKey: () => decryptionKey,
    algorithms: ['RSA-OAEP' as const],
    contentAlgorithms: ['A128GCM' as const],
  };
  const token = file.encrypt.output.compact;
  await assert.rejects(decryptCompactJwe(token, options), { code: 'crypto.invalid_jwe', field: 'cty' });
  const { plaintext } = await decryptCompactJwe(token, { ...options, cty: 'JWT' });
  const verificationKey = importVerificationKey(publicJwkOf(file.sign.input.key), 'PS256');
  const verified = await verifyCompactJws(Buffer.from(plaintext).toString(), {
    findKey: () => verificationKey,
    typ: 'JWT',
  });
  const claims = parseJwtClaims(verified.payload) as JwtClaims;
  assert.deepEqual(claims, JSON.parse(file.sign.input.payload));
});

test('RFC 7520 §3: the key examples are judged for what they are', () => {
  const jwk = (name: string) => readVectors(`jose-cookbook/jwk/${name}.json`);
  for (const name of ['3_1.ec_public_key', '3_3.rsa_public_key']) judgePublicJwk(jwk(name), { use: 'sig' });
  for (const name of ['3_2.ec_private_key', '3_4.rsa_private_key', '3_5.symmetric_key_mac_computation']) {
    assert.throws(() => judgePublicJwk(jwk(name), { use: 'sig' }), { code: 'crypto.private_key_exposed' });
  }
  assert.equal(importSigningKey(jwk('3_2.ec_private_key') as unknown as PrivateJwk, 'ES512').alg, 'ES512');
  importSymmetricKey(jwk('3_5.symmetric_key_mac_computation') as unknown as OctJwk, 'sig');
  importSymmetricKey(jwk('3_6.symmetric_key_encryption') as unknown as OctJwk, 'enc');
});

test('RFC 7638 §3.1 and RFC 8037 A.3: thumbprints', () => {
  const rsa: PublicJwk = {
    kty: 'RSA',
    n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
    e: 'AQAB',
    alg: 'RS256',
    kid: '2011-04-29',
  };
  assert.equal(jwkThumbprint(rsa), 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
  const ed25519: PublicJwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' };
  assert.equal(jwkThumbprint(ed25519), 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
});

/** All distinct asymmetric encryption keys of the vectors, with an algorithm we write for each. */
function encryptionKeys(): { jwk: PrivateJwk; alg: EncryptAlgorithm }[] {
  const keys = new Map<string, { jwk: PrivateJwk; alg: EncryptAlgorithm }>();
  for (const { kind, key } of [...wycheproofCases(), ...cookbookCases()]) {
    const members = (Array.isArray(key.keys) ? key.keys : [key]) as JsonObject[];
    if (kind !== 'jwe') continue;
    for (const { alg: _alg, key_ops: _operations, ...bare } of members) {
      if (bare.d === undefined) continue;
      const jwk = bare as unknown as PrivateJwk;
      for (const alg of jwk.kty === 'RSA' ? (['RSA-OAEP-256', 'RSA-OAEP'] as const) : (['ECDH-ES+A256KW'] as const)) {
        keys.set(`${alg} ${jwkThumbprint(jwk)}`, { jwk, alg });
      }
    }
  }
  return [...keys.values()];
}

test('to each encryption key of the vectors we write what jose reads, and read what jose writes', async () => {
  const keys = encryptionKeys();
  assert.ok(keys.length >= 8, `found ${keys.length} keys`);
  for (const { jwk, alg } of keys) {
    const plaintext = Buffer.from('Gatehouse ↔ jose');
    const ours = encryptCompactJwe({ jwk: publicJwkOf(jwk), plaintext, alg, cty: 'text/plain' });
    const foreignKey = await importJWK(jwk as never, alg);
    const read = await compactDecrypt(ours, foreignKey);
    assert.deepEqual(Buffer.from(read.plaintext), plaintext);
    assert.equal(read.protectedHeader.kid, jwk.kid);
    const theirs = await new CompactEncrypt(plaintext)
      .setProtectedHeader({ alg, enc: 'A256GCM' })
      .encrypt(await importJWK(publicJwkOf(jwk) as never, alg));
    const key = importDecryptionKey(jwk, alg);
    for (const token of [ours, theirs]) {
      const opened = await decryptCompactJwe(token, { findKey: () => key, algorithms: [alg] });
      assert.deepEqual(Buffer.from(opened.plaintext), plaintext);
    }
  }
});

test('every sound public key of the vectors has a PEM form and a verdict without private members', () => {
  let judged = 0;
  for (const { key } of wycheproofCases()) {
    const { alg: _alg, use: _use, key_ops: _operations, ...bare } = key;
    if (bare.kty === 'oct' || bare.kty === undefined) continue;
    try {
      const { jwk } = judgePublicJwk(publicJwkOf(bare as unknown as PrivateJwk), { use: 'sig' });
      assert.match(publicJwkToPem(jwk), /^-----BEGIN PUBLIC KEY-----\n/u);
      assert.deepEqual(
        Object.keys(jwk).filter((name) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(name)),
        [],
      );
      judged += 1;
    } catch (error) {
      // ROCA, too small, exponent 1, off the curve, wrong kty: those the vectors mean to be refused.
      assert.ok(
        error instanceof CryptoError && ['crypto.weak_key', 'crypto.invalid_key'].includes(error.code),
        String(error),
      );
    }
  }
  assert.ok(judged > 300, `judged ${judged}`);
});
