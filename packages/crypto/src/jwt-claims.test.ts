import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair } from './generate-key-pair.ts';
import { type JsonObject, parseJsonStrict } from './json.ts';
import { signCompactJws } from './jws.ts';
import { parseJwtClaims, type VerifyClaimsOptions, verifyJwt, verifyJwtClaims } from './jwt-claims.ts';
import { importSigningKey, importVerificationKey } from './key-objects.ts';

const nowSeconds = 1_800_000_000;
const good = {
  iss: 'https://id',
  sub: 'alice',
  aud: ['records', 'id'],
  exp: nowSeconds + 600,
  iat: nowSeconds,
  jti: 'j',
};
const options: VerifyClaimsOptions = { issuer: 'https://id', audience: 'records', now: new Date(nowSeconds * 1000) };

function refuses(claims: object, field: string, more: Partial<VerifyClaimsOptions> = {}): void {
  const expected = { code: 'crypto.invalid_claims', field };
  assert.throws(() => verifyJwtClaims(claims as JsonObject, { ...options, ...more }), expected, JSON.stringify(claims));
}
function accepts(claims: object, more: Partial<VerifyClaimsOptions> = {}): void {
  verifyJwtClaims(claims as JsonObject, { ...options, ...more });
}

test('good claims pass', () => {
  accepts(good);
  accepts({ ...good, aud: 'records' });
  accepts(good, { issuer: ['https://other', 'https://id'], audience: ['x', 'id'], required: ['sub', 'jti'] });
  accepts({ iss: 'https://id', exp: nowSeconds + 1, aud: 'records' });
});

test('missing claims are named, and null is missing', () => {
  for (const name of ['iss', 'exp', 'aud']) {
    refuses(Object.fromEntries(Object.entries(good).filter(([key]) => key !== name)), name);
    refuses({ ...good, [name]: null }, name);
  }
  refuses(good, 'nonce', { required: ['nonce'] });
  const { iat: _iat, ...undated } = good;
  refuses(undated, 'iat', { maxLifetimeSeconds: 600 });
  refuses(good, 'toString', { required: ['toString'] });
});

test('times of a wrong type, huge, fractional or negative are refused', () => {
  const wrong = ['1800000600', true, [], {}, -1, 1.5, 2 ** 53, 253_402_300_800, (nowSeconds + 600) * 1000];
  for (const name of ['exp', 'nbf', 'iat']) for (const value of wrong) refuses({ ...good, [name]: value }, name);
  assert.throws(() => parseJsonStrict('{"exp":1e400}'), { code: 'crypto.invalid_json' });
});

test('the skew is 60 seconds at most, and its edges are exact', () => {
  accepts({ ...good, exp: nowSeconds - 59, iat: nowSeconds - 600 });
  refuses({ ...good, exp: nowSeconds - 60, iat: nowSeconds - 600 }, 'exp');
  refuses({ ...good, exp: nowSeconds, iat: nowSeconds - 600 }, 'exp', { skewSeconds: 0 });
  accepts({ ...good, nbf: nowSeconds + 60 });
  refuses({ ...good, nbf: nowSeconds + 61 }, 'nbf');
  accepts({ ...good, iat: nowSeconds + 60 });
  refuses({ ...good, iat: nowSeconds + 61 }, 'iat');
  for (const skewSeconds of [61, -1, Number.NaN, Infinity]) {
    assert.throws(() => verifyJwtClaims(good, { ...options, skewSeconds }), { code: 'crypto.invalid_argument' });
  }
});

test('lifetimes are capped, and a token does not expire before it was issued', () => {
  accepts(good, { maxLifetimeSeconds: 600 });
  refuses({ ...good, exp: nowSeconds + 601 }, 'exp', { maxLifetimeSeconds: 600 });
  refuses({ ...good, exp: nowSeconds - 10, iat: nowSeconds }, 'exp');
});

test('issuer and audience are compared exactly, and only strings are names', () => {
  for (const iss of ['https://id/', 'HTTPS://ID', '', 7, ['https://id'], { 0: 'https://id' }])
    refuses({ ...good, iss }, 'iss');
  for (const aud of ['record', 'records ', [], [7], ['records', 7], [['records']], {}, ''])
    refuses({ ...good, aud }, 'aud');
  accepts({ ...good, aud: 'anything' }, { audience: undefined as never });
  for (const name of ['sub', 'jti'])
    for (const value of ['', 7, 'x'.repeat(1025)]) refuses({ ...good, [name]: value }, name);
});

test('a whole token: signature first, then claims', async () => {
  const pair = await generateKeyPair('ES256');
  const verificationKey = importVerificationKey(pair.publicJwk);
  const token = await signCompactJws({ key: importSigningKey(pair.privateJwk), payload: good, typ: 'JWT' });
  const { claims, header } = await verifyJwt(token, { ...options, findKey: () => verificationKey, typ: 'JWT' });
  assert.deepEqual(claims, good);
  assert.equal(header.kid, pair.kid);
  const later = new Date((nowSeconds + 700) * 1000);
  await assert.rejects(verifyJwt(token, { ...options, now: later, findKey: () => verificationKey }), { field: 'exp' });
  await assert.rejects(
    verifyJwt(`${token.slice(0, -4)}AAAA`, { ...options, now: later, findKey: () => verificationKey }),
    {
      code: 'crypto.bad_signature',
    },
  );
});

test('claims that are not a strict JSON object are refused', () => {
  for (const text of ['[]', '"x"', '{"sub":"a","sub":"b"}', 'x']) {
    assert.throws(() => parseJwtClaims(Buffer.from(text)), { code: 'crypto.invalid_claims', field: 'payload' });
  }
});
