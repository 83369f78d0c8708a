import assert from 'node:assert/strict';
import { checkPrimeSync, generateKeyPairSync, generatePrimeSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeBase64Url } from './base64url.ts';
import { generateKeyPair } from './generate-key-pair.ts';
import { judgeJwks, judgePublicJwk } from './judge-jwk.ts';
import type { PublicJwk } from './jwk.ts';

const rsa = await generateKeyPair('RS256');
const es256 = await generateKeyPair('ES256');
const eddsa = await generateKeyPair('EdDSA');
const x25519 = await generateKeyPair('ECDH-ES+A256KW', { curve: 'X25519' });
const p256 = await generateKeyPair('ECDH-ES+A256KW');

function integer(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url');
}

function littleEndian(value: bigint): string {
  return encodeBase64Url(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toReversed());
}

function refuses(jwk: object, code: string, field: string, use: 'sig' | 'enc' = 'sig'): void {
  assert.throws(() => judgePublicJwk(jwk, { use }), { code, field }, JSON.stringify(jwk).slice(0, 200));
}

test('keys of every kind we make pass, and their verdict is frozen and public', () => {
  for (const { publicJwk, use, alg } of [rsa, es256, eddsa, x25519, p256]) {
    const verdict = judgePublicJwk(publicJwk, { use, alg });
    assert.deepEqual(verdict.jwk, publicJwk);
    assert.deepEqual(verdict.algorithms, [alg]);
    assert.ok(Object.isFrozen(verdict.jwk));
  }
});

test('points on every curve pass, whoever made them', () => {
  for (const namedCurve of ['P-256', 'P-384', 'P-521']) {
    for (let i = 0; i < 5; i += 1) {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve });
      judgePublicJwk(publicKey.export({ format: 'jwk' }), { use: 'sig' });
      judgePublicJwk(publicKey.export({ format: 'jwk' }), { use: 'enc', alg: 'ECDH-ES+A256KW' });
    }
  }
  for (let i = 0; i < 10; i += 1) {
    judgePublicJwk(generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }), { use: 'sig' });
    judgePublicJwk(generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }), { use: 'enc' });
  }
});

test('private members are refused before anything else, whatever the kind', () => {
  for (const { privateJwk, use } of [rsa, es256, eddsa, x25519]) {
    assert.throws(() => judgePublicJwk(privateJwk, { use }), { code: 'crypto.private_key_exposed', field: 'd' });
  }
  for (const member of ['p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']) {
    refuses({ ...rsa.publicJwk, [member]: null }, 'crypto.private_key_exposed', member);
  }
  refuses({ kty: 'oct', k: 'AAAA' }, 'crypto.private_key_exposed', 'k');
  refuses({ kty: 'oct' }, 'crypto.invalid_key', 'kty');
});

test('RSA: size, exponent, small factors, close factors, a square, spelling', () => {
  const { n, e } = rsa.publicJwk as { n: string; e: string };
  const big = (bits: number) => 2n ** BigInt(bits - 1) + 2n ** BigInt(bits - 3) + 1n;
  const key = (modulus: bigint, exponent = 65_537n) => ({ kty: 'RSA', n: integer(modulus), e: integer(exponent) });
  const p = generatePrimeSync(1024, { bigint: true });
  let next = p + 2n;
  while (!checkPrimeSync(next)) next += 2n;
  const good = BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`);
  const weak: readonly [bigint, RegExp][] = [
    [big(1024), /1024/u],
    [big(2047), /2047/u],
    [good * 2n, /even/u],
    [good * 1999n, /small factor/u],
    [good * 3n, /small factor/u],
    [p * p, /close/u],
    [p * next, /close/u],
  ];
  for (const [modulus, message] of weak) {
    assert.throws(() => judgePublicJwk(key(modulus), { use: 'sig' }), { code: 'crypto.weak_key', message });
  }
  refuses(key(big(8193)), 'crypto.invalid_key', 'n');
  for (const exponent of [1n, 2n, 65_536n]) refuses(key(good, exponent), 'crypto.weak_key', 'e');
  refuses(key(good, 2n ** 32n + 1n), 'crypto.invalid_key', 'e');
  judgePublicJwk(key(good, 3n), { use: 'sig' });
  refuses({ kty: 'RSA', n: `AA${n}`, e }, 'crypto.invalid_key', 'n');
  refuses({ kty: 'RSA', n: `${n}=`, e }, 'crypto.invalid_key', 'n');
  refuses({ kty: 'RSA', n: ` ${n}`, e }, 'crypto.invalid_key', 'n');
  refuses({ kty: 'RSA', n, e: '' }, 'crypto.invalid_key', 'e');
  refuses({ kty: 'RSA', n, e: 65_537 }, 'crypto.invalid_key', 'e');
  refuses({ kty: 'RSA', e }, 'crypto.invalid_key', 'n');
});

test('EC: a point off the curve by one bit never passes; lengths and curves are exact', () => {
  const { x, y } = es256.publicJwk as { x: string; y: string };
  fc.assert(
    fc.property(fc.nat(31), fc.nat(7), fc.boolean(), (index, bit, ofX) => {
      const bytes = Buffer.from(ofX ? x : y, 'base64url');
      bytes[index] = (bytes[index] ?? 0) ^ (1 << bit);
      const changed = bytes.toString('base64url');
      const jwk = { kty: 'EC', crv: 'P-256', x: ofX ? changed : x, y: ofX ? y : changed };
      refuses(jwk, 'crypto.weak_key', 'x');
    }),
  );
  refuses({ kty: 'EC', crv: 'P-384', x, y }, 'crypto.invalid_key', 'x');
  refuses({ kty: 'EC', crv: 'secp256k1', x, y }, 'crypto.invalid_key', 'crv');
  refuses({ kty: 'EC', crv: 'P-256', x }, 'crypto.invalid_key', 'y');
  refuses({ kty: 'EC', crv: 'P-256', x: x.slice(0, -2), y }, 'crypto.invalid_key', 'x');
  const zero = encodeBase64Url(new Uint8Array(32));
  refuses({ kty: 'EC', crv: 'P-256', x: zero, y: zero }, 'crypto.weak_key', 'x');
});

test('X25519 and Ed25519: low-order and non-canonical points are refused', () => {
  const p = 2n ** 255n - 19n;
  const u8 = 39382357235489614581723060781553021112529911719440698176882885853963445705823n;
  const u8b = 325606250916557431795983626356110631294008115727848805560023387927233504n;
  for (const u of [0n, 1n, u8, u8b, p - 1n, p, p + 1n, 2n ** 255n + u8, 2n ** 255n]) {
    refuses({ kty: 'OKP', crv: 'X25519', x: littleEndian(u) }, 'crypto.weak_key', 'x', 'enc');
  }
  refuses({ kty: 'OKP', crv: 'X25519', x: littleEndian(p + 9n) }, 'crypto.weak_key', 'x', 'enc');
  // RFC 8032's curve: the eight points of small order, both signs of x.
  const torsion = [
    '0100000000000000000000000000000000000000000000000000000000000000',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000080',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  ];
  for (const hex of torsion) {
    const x = Buffer.from(hex, 'hex').toString('base64url');
    assert.throws(() => judgePublicJwk({ kty: 'OKP', crv: 'Ed25519', x }, { use: 'sig' }), /low order/u, hex);
  }
  refuses({ kty: 'OKP', crv: 'Ed25519', x: littleEndian(p + 3n) }, 'crypto.weak_key', 'x');
  // y = 2 is on no point of the curve.
  assert.throws(
    () => judgePublicJwk({ kty: 'OKP', crv: 'Ed25519', x: littleEndian(2n) }, { use: 'sig' }),
    /not a point/u,
  );
  refuses({ kty: 'OKP', crv: 'Ed448', x: littleEndian(9n) }, 'crypto.invalid_key', 'crv');
});

test('use, key_ops and alg must agree with the key and with the caller', () => {
  const { use: _use, alg: _alg, ...bare } = rsa.publicJwk;
  const judge = (extra: object, use: 'sig' | 'enc', alg?: string) =>
    judgePublicJwk({ ...bare, ...extra }, alg === undefined ? { use } : { use, alg });
  judge({}, 'enc', 'RSA-OAEP-256');
  judge({ key_ops: ['verify'] }, 'sig');
  judge({ key_ops: ['wrapKey', 'encrypt'], use: 'enc' }, 'enc');
  const wrong: readonly [object, 'sig' | 'enc', string | undefined, string][] = [
    [{ use: 'enc' }, 'sig', undefined, 'use'],
    [{ use: 'signature' }, 'sig', undefined, 'use'],
    [{ key_ops: ['encrypt'] }, 'sig', undefined, 'key_ops'],
    [{ key_ops: ['verify', 'verify'] }, 'sig', undefined, 'key_ops'],
    [{ key_ops: 'verify' }, 'sig', undefined, 'key_ops'],
    [{ alg: 'ES256' }, 'sig', undefined, 'alg'],
    [{ alg: 'HS256' }, 'sig', undefined, 'alg'],
    [{ alg: 'none' }, 'sig', undefined, 'alg'],
    [{ alg: 'RSA1_5' }, 'enc', undefined, 'alg'],
    [{ alg: 'RS256' }, 'sig', 'PS256', 'alg'],
    [{}, 'sig', 'ES256', 'alg'],
    [{ kid: 7 }, 'sig', undefined, 'kid'],
    [{ kid: '' }, 'sig', undefined, 'kid'],
    [{ kty: 'rsa' }, 'sig', undefined, 'kty'],
  ];
  for (const [extra, use, alg, field] of wrong) {
    assert.throws(() => judge(extra, use, alg), { code: 'crypto.invalid_key', field }, JSON.stringify(extra));
  }
  assert.throws(() => judgePublicJwk(eddsa.publicJwk, { use: 'enc' }), { field: 'kty' });
  for (const value of [null, 'key', [], 1])
    assert.throws(() => judgePublicJwk(value, { use: 'sig' }), { field: 'jwk' });
});

test('members that are not the key are dropped, and inherited ones never count', () => {
  const extra = { x5u: 'https://evil.example', x5c: ['AA'], jku: 'https://evil.example', foo: 1 };
  assert.deepEqual(judgePublicJwk({ ...es256.publicJwk, ...extra }, { use: 'sig' }).jwk, es256.publicJwk);
});

test('a set: usable keys and reasons; the whole is refused for duplicates, size and form', () => {
  const keys = [es256.publicJwk, rsa.publicJwk, p256.publicJwk, { kty: 'oct', k: 'AAAA', kid: 'mac' }, { kty: 'new' }];
  const judged = judgeJwks({ keys }, { use: 'sig' });
  assert.deepEqual(
    judged.keys.map(({ kid }) => kid),
    [es256.kid, rsa.kid],
  );
  assert.deepEqual(
    judged.refused.map(({ index, kid, error }) => [index, kid, error.code]),
    [
      [3, 'mac', 'crypto.private_key_exposed'],
      [4, undefined, 'crypto.invalid_key'],
    ],
  );
  assert.deepEqual(judgeJwks(JSON.stringify({ keys }), { use: 'sig' }).keys[0]?.jwk, es256.publicJwk);
  const twice: readonly PublicJwk[] = [es256.publicJwk, { ...rsa.publicJwk, kid: es256.kid }];
  assert.throws(() => judgeJwks({ keys: twice }, { use: 'sig' }), { code: 'crypto.invalid_jwks', field: 'kid' });
  const many = Array.from({ length: 101 }, () => ({ kty: 'new' }));
  assert.throws(() => judgeJwks({ keys: many }, { use: 'sig' }), { code: 'crypto.invalid_jwks', field: 'keys' });
  assert.throws(() => judgeJwks(`{"keys":[],"keys":[]}`, { use: 'sig' }), { code: 'crypto.invalid_json' });
  assert.throws(() => judgeJwks(`{"keys":[]}${' '.repeat(60_000)}`, { use: 'sig' }), { code: 'crypto.too_large' });
  for (const value of [[], {}, { keys: {} }, null]) {
    assert.throws(() => judgeJwks(value, { use: 'sig' }), { code: 'crypto.invalid_jwks' });
  }
});
