import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, beforeEach, describe, it } from 'node:test';
import { generateKeyPair, publicJwkToPem } from '@gatehouse/crypto';
import { createFakeClock, type FakeClock } from '@gatehouse/testkit';
import { GatehouseError, type GatehouseErrorCode } from '../errors.ts';
import { type FakeIssuer, startFakeIssuer } from '../testing/fake-issuer.ts';
import { bearerToken, createTokenVerifier, type TokenVerifierOptions, verifyAccessToken } from './token-verifier.ts';

describe('createTokenVerifier', () => {
  let clock: FakeClock;
  let issuer: FakeIssuer;
  const started: FakeIssuer[] = [];
  const verifierFor = (options: Partial<TokenVerifierOptions> = {}) =>
    createTokenVerifier({ issuer: issuer.origin, audience: 'acme.records', clock, ...options });

  beforeEach(async () => {
    clock = createFakeClock();
    issuer = await startFakeIssuer(clock);
    started.push(issuer);
  });
  after(async () => {
    await Promise.all(started.map((server) => server.close()));
  });

  it('tells what a good token says', async () => {
    const token = await verifierFor().verify(await issuer.token({ sid: 'session-1' }));
    assert.equal(token.subject, 'alice-uid');
    assert.equal(token.organization, 'acme');
    assert.equal(token.clientId, 'gatehouse');
    assert.equal(token.sessionId, 'session-1');
    assert.deepEqual(token.roles, ['developer']);
    assert.deepEqual(token.scope, ['openid', 'records']);
    assert.deepEqual(token.audience, ['acme.records']);
    assert.equal(token.expiresAt.getTime() - clock.now().getTime(), 600_000);
  });

  it('refuses every token that is not an access token of this issuer for this service', async () => {
    const now = Math.floor(clock.now().getTime() / 1000);
    const foreign = await generateKeyPair('ES256');
    const [ownKey] = issuer.keys;
    assert.ok(ownKey);
    const good = await issuer.token();
    const [header = '', payload = '', signature = ''] = good.split('.');
    const unsigned = (fields: object) => `${encode({ typ: 'at+jwt', kid: ownKey.kid, ...fields })}.${payload}`;
    const confused = unsigned({ alg: 'HS256' });
    const mac = createHmac('sha256', publicJwkToPem(ownKey.publicJwk)).update(confused).digest('base64url');
    const changed = encode({ ...decode(payload), sub: 'bob-uid' });

    const cases: [string, string | undefined, GatehouseErrorCode][] = [
      ['no token', undefined, 'token_missing'],
      ['empty', '', 'token_malformed'],
      ['not a token', 'abc', 'token_malformed'],
      ['an encrypted token', `${good}.a.b`, 'token_malformed'],
      ['very long', 'a'.repeat(20_000), 'token_malformed'],
      ['spaces around', ` ${good}`, 'token_malformed'],
      ['alg none', `${unsigned({ alg: 'none' })}.`, 'token_algorithm_refused'],
      ['alg NonE', `${unsigned({ alg: 'NonE' })}.`, 'token_algorithm_refused'],
      ['key confusion', `${confused}.${mac}`, 'token_algorithm_refused'],
      ['crit', `${unsigned({ alg: 'ES256', crit: ['exp'] })}.${signature}`, 'token_malformed'],
      ['b64 false', `${unsigned({ alg: 'ES256', b64: false })}.${signature}`, 'token_malformed'],
      ['changed claims', `${header}.${changed}.${signature}`, 'token_signature_invalid'],
      ['no kid', `${encode({ alg: 'ES256', typ: 'at+jwt' })}.${payload}.${signature}`, 'token_unknown_key'],
      ['foreign key', await issuer.token({}, { key: foreign }), 'token_unknown_key'],
      [
        'foreign key, known kid',
        await issuer.token({}, { key: withKid(foreign, ownKey.kid) }),
        'token_signature_invalid',
      ],
      ['an ID token', await issuer.token({}, { typ: 'JWT' }), 'token_wrong_type'],
      ['a logout token', await issuer.token({}, { typ: 'logout+jwt' }), 'token_wrong_type'],
      ['other issuer', await issuer.token({ iss: 'https://other.example' }), 'token_wrong_issuer'],
      ['issuer is a list', await issuer.token({ iss: [issuer.origin] }), 'token_claim_invalid'],
      ['other audience', await issuer.token({ aud: 'acme.other' }), 'token_wrong_audience'],
      ['no audience', await issuer.token({ aud: undefined }), 'token_claim_invalid'],
      ['expired', await issuer.token({ exp: now - 60 }), 'token_expired'],
      ['no exp', await issuer.token({ exp: undefined }), 'token_claim_invalid'],
      ['exp as text', await issuer.token({ exp: String(now + 600) }), 'token_claim_invalid'],
      ['exp in milliseconds', await issuer.token({ exp: (now + 600) * 1000 }), 'token_claim_invalid'],
      ['not yet', await issuer.token({ nbf: now + 61 }), 'token_not_yet_valid'],
      ['from the future', await issuer.token({ iat: now + 61 }), 'token_not_yet_valid'],
      ['no subject', await issuer.token({ sub: undefined }), 'token_claim_invalid'],
      ['no jti', await issuer.token({ jti: undefined }), 'token_claim_invalid'],
    ];
    // Each case gets a verifier of its own, so that no cache and no bound on fetches hides what is refused.
    for (const [name, token, code] of cases) {
      await assert.rejects(verifierFor().verify(token), { name: 'GatehouseError', code }, name);
    }
  });

  it('allows 60 seconds of skew and not one more', async () => {
    const token = await issuer.token({ exp: Math.floor(clock.now().getTime() / 1000) });
    const verifier = verifierFor();
    clock.advance(59);
    assert.equal((await verifier.verify(token)).subject, 'alice-uid');
    clock.advance(1);
    await assert.rejects(verifier.verify(token), { code: 'token_expired' });
  });

  it('never puts the token into an error', async () => {
    const token = await issuer.token({ aud: 'acme.other' });
    const error = await verifierFor()
      .verify(token)
      .then(
        () => assert.fail('it was accepted'),
        (reason: unknown) => reason,
      );
    assert.ok(error instanceof GatehouseError);
    assert.ok(!JSON.stringify([error.message, error.stack, String(error.cause)]).includes(token.split('.')[2] ?? ''));
  });

  it('fetches the keys once for many tokens at the same time', async () => {
    const verifier = verifierFor({ cacheEntries: 0 });
    const token = await issuer.token();
    await Promise.all(Array.from({ length: 50 }, () => verifier.verify(token)));
    assert.equal(issuer.fetches, 1);
    await verifier.verify(token);
    assert.equal(issuer.fetches, 1);
  });

  it('keeps the keys for as long as Cache-Control says', async () => {
    issuer.headers = { 'cache-control': 'public, max-age=120', etag: '"1"' };
    const verifier = verifierFor();
    await verifier.verify(await issuer.token());
    clock.advance(119);
    await verifier.verify(await issuer.token());
    assert.equal(issuer.fetches, 1);
    clock.advance(1);
    issuer.answer = 304;
    await verifier.verify(await issuer.token());
    assert.equal(issuer.fetches, 2);
    clock.advance(60);
    await verifier.verify(await issuer.token());
    assert.equal(issuer.fetches, 2);
  });

  it('finds a key that was added after the keys were fetched', async () => {
    const verifier = verifierFor();
    await verifier.verify(await issuer.token());
    issuer.keys.push(await generateKeyPair('RS256'));
    assert.equal((await verifier.verify(await issuer.token())).subject, 'alice-uid');
    assert.equal(issuer.fetches, 2);
  });

  it('asks at a bounded rate when tokens name unknown keys', async () => {
    const verifier = verifierFor();
    const foreign = await generateKeyPair('ES256');
    for (let n = 0; n < 100; n++) {
      const token = await issuer.token({ jti: `t${n}` }, { key: withKid(foreign, `invented-${n}`) });
      await assert.rejects(verifier.verify(token), { code: 'token_unknown_key' });
    }
    assert.equal(issuer.fetches, 3);
    clock.advance(10);
    await assert.rejects(verifier.verify(await issuer.token({}, { key: foreign })), { code: 'token_unknown_key' });
    await assert.rejects(verifier.verify(await issuer.token({}, { key: foreign })), { code: 'token_unknown_key' });
    assert.equal(issuer.fetches, 4);
  });

  it('goes on with the last good keys while the issuer is away, up to the bound', async () => {
    issuer.headers = { 'cache-control': 'max-age=60' };
    const verifier = verifierFor({ maxStaleSeconds: 600 });
    await verifier.verify(await issuer.token());
    for (const answer of [500, '{"keys":[]}', 'no JSON', 404] as const) {
      issuer.answer = answer;
      clock.advance(100);
      assert.equal((await verifier.verify(await issuer.token())).subject, 'alice-uid', String(answer));
    }
    clock.advance(300);
    await assert.rejects(verifier.verify(await issuer.token()), { code: 'keys_unavailable' });
    issuer.answer = undefined;
    clock.advance(10);
    assert.equal((await verifier.verify(await issuer.token())).subject, 'alice-uid');
  });

  it('remembers a verified token until it expires, and only while its key is published', async () => {
    issuer.headers = { 'cache-control': 'max-age=60' };
    const verifier = verifierFor();
    const token = await issuer.token();
    const first = await verifier.verify(token);
    assert.equal(await verifier.verify(token), first);
    clock.advance(61);
    issuer.keys = [await generateKeyPair('ES256')];
    await assert.rejects(verifier.verify(token), { code: 'token_unknown_key' });
  });

  it('passes over weak keys of the set and refuses a set with one kid twice', async () => {
    const [key] = issuer.keys;
    assert.ok(key);
    const weak = { kty: 'RSA', n: Buffer.alloc(128, 255).toString('base64url'), e: 'AQAB', kid: 'weak', use: 'sig' };
    issuer.answer = JSON.stringify({ keys: [weak, key.publicJwk] });
    assert.equal((await verifierFor().verify(await issuer.token())).subject, 'alice-uid');
    issuer.answer = JSON.stringify({ keys: [key.publicJwk, key.publicJwk] });
    await assert.rejects(verifierFor().verify(await issuer.token()), { code: 'keys_unavailable' });
  });

  it('refuses options that cannot be meant', () => {
    const make = (options: Partial<TokenVerifierOptions>) => () => verifierFor(options);
    assert.throws(make({ issuer: 'id.example.com' }), { code: 'configuration_invalid' });
    assert.throws(make({ issuer: 'http://id.example.com' }), { code: 'configuration_invalid' });
    assert.throws(make({ audience: '' }), { code: 'configuration_invalid' });
    assert.throws(make({ skewSeconds: 61 }), { code: 'configuration_invalid' });
    assert.doesNotThrow(make({ issuer: 'http://id.example.com', allowInsecureHttp: true }));
  });
});

describe('verifyAccessToken', () => {
  it('shares one verifier for the same issuer and audience', async () => {
    const clock = { now: () => new Date() };
    const issuer = await startFakeIssuer(clock);
    try {
      const options = { issuer: issuer.origin, audience: 'acme.records' };
      await verifyAccessToken(await issuer.token(), options);
      await verifyAccessToken(await issuer.token({ jti: 'second' }), options);
      assert.equal(issuer.fetches, 1);
    } finally {
      await issuer.close();
    }
  });
});

describe('bearerToken', () => {
  it('reads the header of RFC 6750 and nothing else', () => {
    assert.equal(bearerToken('Bearer a.b-c_d'), 'a.b-c_d');
    assert.equal(bearerToken('bearer abc=='), 'abc==');
    for (const header of [undefined, '', 'Bearer', 'Bearer ', 'Basic abc', 'Bearer a b', 'Bearer a\nb']) {
      assert.equal(bearerToken(header), undefined);
    }
  });
});

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decode(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
}

function withKid<T extends { kid: string; privateJwk: object }>(key: T, kid: string): T {
  return { ...key, kid, privateJwk: { ...key.privateJwk, kid } };
}
