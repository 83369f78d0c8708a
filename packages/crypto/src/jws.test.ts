import assert from 'node:assert/strict';
import { createHmac, createPublicKey, createSecretKey } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { importJWK, jwtVerify } from 'jose';
import { signatureAlgorithms } from './algorithms.ts';
import { encodeBase64Url } from './base64url.ts';
import { isCryptoError } from './errors.ts';
import { generateKeyPair } from './generate-key-pair.ts';
import { signCompactJws, verifyCompactJws } from './jws.ts';
import { importSigningKey, importSymmetricKey, importVerificationKey } from './key-objects.ts';
import { publicJwkToPem } from './pem.ts';

const pairs = await Promise.all((['ES256', 'RS256', 'PS256', 'EdDSA'] as const).map((alg) => generateKeyPair(alg)));
const [es256, rs256] = pairs as [(typeof pairs)[0], (typeof pairs)[0], ...typeof pairs];
const findKey = ({ kid }: { readonly kid?: string }) => {
  const pair = pairs.find((candidate) => candidate.kid === kid);
  return pair && importVerificationKey(pair.publicJwk);
};
const key = importSigningKey(es256.privateJwk);
const good = await signCompactJws({ key, payload: { sub: 'alice' }, typ: 'at+jwt' });

/** A token with this header, signed with the ES256 key over exactly what it says. */
async function signedWith(header: string): Promise<string> {
  const { sign } = await import('node:crypto');
  const signed = `${Buffer.from(header).toString('base64url')}.${Buffer.from('{}').toString('base64url')}`;
  const signature = sign('sha256', Buffer.from(signed), { key: key.keyObject, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${encodeBase64Url(signature)}`;
}
const header = (extra: object) => JSON.stringify({ alg: 'ES256', kid: es256.kid, ...extra });

test('what we sign, we verify, and so does a foreign library', async () => {
  for (const pair of pairs) {
    const token = await signCompactJws({
      key: importSigningKey(pair.privateJwk),
      payload: { sub: 'ålice' },
      typ: 'at+jwt',
    });
    const verified = await verifyCompactJws(token, { findKey, typ: 'application/at+jwt' });
    assert.deepEqual(verified.header, { alg: pair.alg, typ: 'at+jwt', kid: pair.kid });
    const foreign = await jwtVerify(token, await importJWK(pair.publicJwk as never, pair.alg), { typ: 'at+jwt' });
    assert.deepEqual(foreign.payload, JSON.parse(Buffer.from(verified.payload).toString()));
    const fromPem = createPublicKey(publicJwkToPem(pair.publicJwk));
    await verifyCompactJws(token, { findKey: () => ({ keyObject: fromPem }) });
  }
});

test('any other character anywhere in a token is refused', async () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= +/\n';
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.constantFrom(...alphabet.split('')), async (index, character) => {
      fc.pre(good[index] !== character);
      const changed = good.slice(0, index) + character + good.slice(index + 1);
      await assert.rejects(verifyCompactJws(changed, { findKey }), (error) => isCryptoError(error));
    }),
    { numRuns: 300 },
  );
});

test('whatever bytes come in, what comes out is an error of ours', async () => {
  const part = fc.oneof(
    fc.base64String(),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
    fc.string(),
  );
  const anything = fc.oneof(
    fc.string(),
    fc.array(part, { maxLength: 6 }).map((parts) => parts.join('.')),
  );
  await fc.assert(
    fc.asyncProperty(anything, async (token) => {
      await assert.rejects(verifyCompactJws(token, { findKey }), (error) => isCryptoError(error));
    }),
    { numRuns: 300 },
  );
});

test('alg none in every spelling is refused, with and without a signature', async () => {
  for (const alg of ['none', 'None', 'NONE', 'nOnE', ' none', 'none ', '', 'null']) {
    const head = Buffer.from(JSON.stringify({ alg, kid: es256.kid })).toString('base64url');
    for (const token of [`${head}.e30.`, `${head}.e30.AAAA`]) {
      await assert.rejects(verifyCompactJws(token, { findKey, algorithms: signatureAlgorithms }), {
        code: 'crypto.algorithm_not_allowed',
      });
    }
  }
});

test('a public key is never taken for an HMAC key, whichever way its bytes are written', async () => {
  const head = Buffer.from(JSON.stringify({ alg: 'HS256', kid: rs256.kid })).toString('base64url');
  const pem = publicJwkToPem(rs256.publicJwk);
  for (const secret of [pem, pem.trimEnd(), JSON.stringify(rs256.publicJwk)]) {
    const mac = createHmac('sha256', secret).update(`${head}.e30`).digest('base64url');
    for (const algorithms of [undefined, signatureAlgorithms]) {
      const options = algorithms === undefined ? { findKey } : { findKey, algorithms };
      await assert.rejects(verifyCompactJws(`${head}.e30.${mac}`, options), { code: 'crypto.algorithm_not_allowed' });
    }
  }
});

test('the key decides: another algorithm, curve or kind of key is refused, as are short HMAC keys', async () => {
  const rsaObject = importVerificationKey(rs256.publicJwk).keyObject;
  const short = createSecretKey(new Uint8Array(16));
  const refused = { code: 'crypto.algorithm_not_allowed' };
  for (const keyObject of [rsaObject, short]) {
    await assert.rejects(
      verifyCompactJws(good, { findKey: () => ({ keyObject }), algorithms: signatureAlgorithms }),
      refused,
    );
  }
  const { keyObject } = importVerificationKey(es256.publicJwk);
  await assert.rejects(verifyCompactJws(good, { findKey: () => ({ keyObject, alg: 'ES384' }) }), refused);
  const head = Buffer.from('{"alg":"HS256"}').toString('base64url');
  const mac = createHmac('sha256', short).update(`${head}.e30`).digest('base64url');
  const weak = verifyCompactJws(`${head}.e30.${mac}`, { findKey: () => ({ keyObject: short }), algorithms: ['HS256'] });
  await assert.rejects(weak, refused);
  const strong = importSymmetricKey({ kty: 'oct', k: encodeBase64Url(new Uint8Array(32)) }, 'sig');
  const strongMac = createHmac('sha256', strong.keyObject).update(`${head}.e30`).digest('base64url');
  await verifyCompactJws(`${head}.e30.${strongMac}`, { findKey: () => strong, algorithms: ['HS256'] });
  await assert.rejects(verifyCompactJws(`${head}.e30.${strongMac}`, { findKey: () => strong }), refused);
});

test('crit, b64, zip, nesting and wrong types in the header are refused although the signature is good', async () => {
  const refused: readonly [string, string][] = [
    [header({ crit: ['exp'] }), 'crit'],
    [header({ crit: [] }), 'crit'],
    [header({ crit: null }), 'crit'],
    [header({ b64: false, crit: ['b64'] }), 'crit'],
    [header({ b64: false }), 'b64'],
    [header({ zip: 'DEF' }), 'zip'],
    [header({ cty: 'JWT' }), 'cty'],
    [header({ cty: 'application/jwt' }), 'cty'],
    [header({ kid: 7 }), 'kid'],
    [header({ typ: ['JWT'] }), 'typ'],
    [header({ alg: ['ES256'] }), 'alg'],
    [`{"kid":"${es256.kid}"}`, 'alg'],
    [`{"alg":"ES256","alg":"ES256","kid":"${es256.kid}"}`, 'header'],
    [`{"alg":"ES256","\\u0061lg":"none","kid":"${es256.kid}"}`, 'header'],
    [`["ES256"]`, 'header'],
    [`{"__proto__":{"alg":"ES256"}}`, 'alg'],
    [`\ufeff${header({})}`, 'header'],
    [header({ x: 'y'.repeat(20_000) }), 'header'],
    [`${'{"a":'.repeat(20)}1${'}'.repeat(20)}`, 'header'],
  ];
  for (const [text, field] of refused) {
    const token = await signedWith(text);
    await assert.rejects(
      verifyCompactJws(token, { findKey }),
      { code: 'crypto.invalid_jws', field },
      text.slice(0, 80),
    );
  }
});

test('jwk, jku, x5u, x5c in the header are not looked at: the key is ours or none', async () => {
  const attacker = await generateKeyPair('ES256');
  const extra = { jwk: attacker.publicJwk, jku: 'http://127.0.0.1:9/', x5u: 'http://127.0.0.1:9/', x5c: ['AA=='] };
  const { payload } = await verifyCompactJws(await signedWith(header(extra)), { findKey });
  assert.equal(Buffer.from(payload).toString(), '{}');
  const forged = await signCompactJws({ key: importSigningKey(attacker.privateJwk), payload: '{}' });
  await assert.rejects(verifyCompactJws(forged, { findKey }), { code: 'crypto.unknown_key' });
  const posing = { ...importSigningKey(attacker.privateJwk), kid: es256.kid };
  const posed = await signCompactJws({ key: posing, payload: '{}' });
  await assert.rejects(verifyCompactJws(posed, { findKey }), { code: 'crypto.bad_signature' });
});

test('typ says what a token is: one kind is not taken for another', async () => {
  await verifyCompactJws(good, { findKey, typ: ['JWT', 'AT+JWT'] });
  for (const typ of ['JWT', 'logout+jwt', 'application/application/at+jwt']) {
    await assert.rejects(verifyCompactJws(good, { findKey, typ }), { code: 'crypto.invalid_jws', field: 'typ' });
  }
  const untyped = await signCompactJws({ key, payload: '{}' });
  await assert.rejects(verifyCompactJws(untyped, { findKey, typ: 'at+jwt' }), { field: 'typ' });
});

test('size, number of parts and type of the token are checked before anything is decoded', async () => {
  await assert.rejects(verifyCompactJws(good, { findKey, maxBytes: good.length - 1 }), { code: 'crypto.too_large' });
  await verifyCompactJws(good, { findKey, maxBytes: good.length });
  const [head, payload, signature] = good.split('.');
  for (const token of [
    '',
    '.',
    '..',
    good.replaceAll('.', ''),
    `${good}.`,
    `.${good}`,
    `${head}..${signature}`,
    `${head}.${payload}.`,
  ]) {
    await assert.rejects(verifyCompactJws(token, { findKey }), (error) => isCryptoError(error), token);
  }
  for (const value of [null, undefined, {}, 7, [good]]) {
    await assert.rejects(verifyCompactJws(value as never, { findKey }), { code: 'crypto.invalid_jws' });
  }
});

test('signing keys must be able to sign with what they name', async () => {
  await assert.rejects(signCompactJws({ key: { ...key, alg: 'RS256' }, payload: {} }), { field: 'alg' });
  assert.throws(() => importSigningKey({ ...es256.privateJwk, alg: 'RS256' }), { code: 'crypto.invalid_key' });
  const { kid: _kid, ...nameless } = es256.privateJwk;
  assert.throws(() => importSigningKey(nameless), { code: 'crypto.invalid_key' });
});
