import assert from 'node:assert/strict';
import { generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { jwkThumbprint } from '@gatehouse/crypto';
import { basic, createOauthFixture, pkce, redirectUri } from '../../../../testing/oauth-fixture.ts';
import { assertionType } from './read-credentials.ts';

const t = await createOauthFixture();
const second = await t.another();
const makePair = promisify(generateKeyPair);

async function keyPair() {
  const { publicKey, privateKey } = await makePair('ec', { namedCurve: 'P-256' });
  const jwk = publicKey.export({ format: 'jwk' }) as { kty: 'EC'; crv: 'P-256'; x: string; y: string };
  return { jwk: { ...jwk, use: 'sig', alg: 'ES256', kid: jwkThumbprint(jwk) }, privateKey };
}
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
function signed(header: object, payload: object, key: KeyObject): string {
  const data = `${part(header)}.${part(payload)}`;
  return `${data}.${sign('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

const own = await keyPair();
const foreign = await keyPair();
const backend = await t.createService('backend', { grants: ['client_credentials'] });
const signer = await t.createService('signer', {
  grants: ['client_credentials', 'authorization_code'],
  redirect_uris: [redirectUri],
  authentication: 'private_key_jwt',
  jwks: { keys: [own.jwk] },
});
await t.createService('spa', { grants: ['authorization_code'], authentication: 'none', redirect_uris: [redirectUri] });

/** The endpoints that authenticate clients, each with a request that is otherwise in order. */
const endpoints: [path: string, form: Record<string, string>][] = [
  ['/oauth/token', { grant_type: 'client_credentials' }],
  ['/oauth/token', { grant_type: 'refresh_token', refresh_token: 'x' }],
  ['/oauth/introspect', { token: 'x' }],
  ['/oauth/revoke', { token: 'x' }],
  [
    '/oauth/par',
    {
      response_type: 'code',
      redirect_uri: redirectUri,
      code_challenge: pkce().challenge,
      code_challenge_method: 'S256',
    },
  ],
];

let serial = 0;
function assertion(
  changes: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  key = own.privateKey,
): string {
  const now = Math.floor(t.clock.now().getTime() / 1000);
  serial += 1;
  const claims = {
    iss: signer.clientId,
    sub: signer.clientId,
    aud: t.issuer,
    jti: `assertion-${serial}`,
    iat: now,
    exp: now + 60,
    ...changes,
  };
  return signed({ alg: 'ES256', kid: own.jwk.kid, ...header }, claims, key);
}
const present = (
  value: string,
  path = '/oauth/token',
  form: Record<string, string> = { grant_type: 'client_credentials' },
) => t.post(path, { ...form, client_assertion_type: assertionType, client_assertion: value });

test('a secret is taken by HTTP Basic and in the form, and nothing else is', async () => {
  const form = { grant_type: 'client_credentials' };
  assert.equal((await t.post('/oauth/token', form, backend)).statusCode, 200);
  const inForm = { ...form, client_id: backend.clientId, client_secret: backend.secret };
  assert.equal((await t.post('/oauth/token', inForm)).statusCode, 200);
  const twice = await t.post('/oauth/token', inForm, backend);
  assert.equal(twice.statusCode, 400);
  assert.equal(twice.json().error, 'invalid_request');
  const json = await t.app.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: { authorization: basic(backend) },
    payload: form,
  });
  assert.equal(json.statusCode, 400);
  const query = await t.app.inject({
    method: 'POST',
    url: `/oauth/token?${new URLSearchParams(inForm).toString()}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  assert.equal(query.statusCode, 401, 'credentials in the address');
});

test('a wrong secret, an unknown client and a missing credential answer alike at every endpoint', async () => {
  for (const [path, form] of endpoints) {
    const wrong = await t.post(path, form, { ...backend, secret: 'wrong' });
    const unknown = await t.post(path, form, { clientId: 'acme.nobody', secret: 'wrong' });
    const none = await t.post(path, { ...form, client_id: backend.clientId });
    for (const answer of [wrong, unknown, none]) {
      assert.equal(answer.statusCode, 401, `${path}: ${answer.body}`);
      assert.equal(answer.body, wrong.body, path);
      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.match(String(answer.headers['www-authenticate']), /^Basic/);
    }
    assert.equal((await t.post(path, form)).statusCode, 401, `${path} without a client`);
  }
  assert.ok((await t.audit('service.authentication_refused')).length > 0);
});

test('a public client cannot act for itself, introspect, or use a secret', async () => {
  const id = { client_id: 'acme.spa' };
  assert.equal((await t.post('/oauth/introspect', { ...id, token: 'x' })).statusCode, 401);
  assert.equal(
    (await t.post('/oauth/token', { ...id, grant_type: 'client_credentials' })).json().error,
    'unauthorized_client',
  );
  assert.equal((await t.post('/oauth/revoke', { ...id, token: 'x' })).statusCode, 200);
});

test('an assertion by a registered key is accepted at every endpoint', async () => {
  for (const [path, form] of endpoints) {
    const answer = await present(assertion(), path, form);
    assert.notEqual(answer.statusCode, 401, `${path}: ${answer.body}`);
  }
});

test('an assertion is used once, on whichever node', async () => {
  const value = assertion();
  const form = { grant_type: 'client_credentials', client_assertion_type: assertionType, client_assertion: value };
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, index) => t.post('/oauth/token', form, undefined, index % 2 ? second.app : t.app)),
  );
  assert.equal(answers.filter((answer) => answer.statusCode === 200).length, 1);
  assert.equal(answers.filter((answer) => answer.statusCode === 401).length, 9);
});

test('assertions that are old, too long, from the future, for others or not ours are refused everywhere', async () => {
  const now = Math.floor(t.clock.now().getTime() / 1000);
  const bad: Record<string, string> = {
    expired: assertion({ iat: now - 400, exp: now - 61 }),
    'ten years': assertion({ exp: now + 315_360_000 }),
    'ten years without iat': assertion({ exp: now + 315_360_000, iat: undefined }),
    'six minutes': assertion({ exp: now + 361 }),
    'issued in the future': assertion({ iat: now + 120, exp: now + 180 }),
    'not yet valid': assertion({ nbf: now + 120 }),
    'no exp': assertion({ exp: undefined }),
    'no jti': assertion({ jti: undefined }),
    'no aud': assertion({ aud: undefined }),
    'for another': assertion({ aud: 'https://other.example' }),
    'for another too': assertion({ aud: [t.issuer, 'https://other.example'] }),
    'of another subject': assertion({ sub: backend.clientId }),
    'of another issuer': assertion({ iss: backend.clientId }),
    'exp as text': assertion({ exp: String(now + 60) }),
    'by a foreign key': assertion({}, {}, foreign.privateKey),
    'with its own key inside': assertion({}, { kid: foreign.jwk.kid, jwk: foreign.jwk }, foreign.privateKey),
    'unknown kid': assertion({}, { kid: 'other' }),
    'kid of another type': assertion({}, { kid: 7 }),
    crit: assertion({}, { crit: ['exp'] }),
    'an access token': assertion({}, { typ: 'at+jwt' }),
    'alg none': `${part({ alg: 'none' })}.${assertion().split('.')[1]}.`,
    'alg HS256': assertion({}, { alg: 'HS256' }),
  };
  for (const [name, value] of Object.entries(bad)) {
    for (const [path, form] of endpoints) {
      const answer = await present(value, path, form);
      assert.equal(answer.statusCode, 401, `${name} at ${path}: ${answer.statusCode} ${answer.body}`);
      assert.equal(answer.json().error, 'invalid_client');
    }
  }
});

test('a client that signs assertions has no use for a secret, and the other way round', async () => {
  const secret = await t.post(
    '/oauth/token',
    { grant_type: 'client_credentials' },
    { clientId: signer.clientId, secret: 'checked by the front' },
  );
  assert.equal(secret.statusCode, 401);
  const swapped = assertion({ iss: backend.clientId, sub: backend.clientId });
  assert.equal((await present(swapped)).statusCode, 401);
});

test('a deleted secret is refused on every node within a second', async () => {
  const service = await t.createService('leaver', { grants: ['client_credentials'] });
  const ask = (app = t.app) => t.post('/oauth/token', { grant_type: 'client_credentials' }, service, app);
  assert.equal((await ask()).statusCode, 200);
  assert.equal((await ask(second.app)).statusCode, 200);
  assert.equal((await t.admin('POST', '/v1/services/leaver/suspend')).statusCode, 200);
  const deadline = Date.now() + 5000;
  for (const app of [t.app, second.app]) {
    while ((await ask(app)).statusCode !== 401) assert.ok(Date.now() < deadline, 'the suspension did not arrive');
  }
});

test('parameters twice, too many, too large or with control characters are refused', async () => {
  const bodies: [string, number][] = [
    ['grant_type=client_credentials&grant_type=client_credentials', 400],
    [`grant_type=client_credentials&${Array.from({ length: 120 }, (_, i) => `p${i}=1`).join('&')}`, 400],
    ['grant_type=client_credentials&scope=a%00b', 400],
    [`grant_type=client_credentials&x=${'a'.repeat(70_000)}`, 413],
    ['', 400],
  ];
  for (const [body, status] of bodies) {
    const answer = await t.app.inject({
      method: 'POST',
      url: '/oauth/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: basic(backend) },
      payload: body,
    });
    assert.equal(answer.statusCode, status, `${body.slice(0, 60)}: ${answer.body}`);
    assert.equal(answer.json().error, 'invalid_request');
  }
  for (const header of [
    'Basic',
    'Basic !!!',
    'Bearer x',
    `Basic ${Buffer.from('nocolon').toString('base64')}`,
    'Basic Og==',
  ]) {
    const answer = await t.app.inject({
      method: 'POST',
      url: '/oauth/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: header },
      payload: 'grant_type=client_credentials',
    });
    assert.equal(answer.statusCode, 401, header);
  }
});

test('spellings of an endpoint that are not ours do not reach oidc-provider', async () => {
  for (const path of [
    '/oauth/TOKEN',
    '/oauth/token/',
    '/oauth//token',
    '/oauth/Authorize',
    '/oauth/jwks',
    '/oauth/par/',
  ]) {
    const answer = await t.post(path, { grant_type: 'client_credentials', client_id: 'acme.spa' });
    assert.equal(answer.statusCode, 404, path);
  }
});

test('a secret added on one node is accepted at once on another that knew the client before', async () => {
  const form = { grant_type: 'client_credentials' };
  assert.equal((await t.post('/oauth/token', form, backend, second.app)).statusCode, 200);
  for (let round = 0; round < 20; round += 1) {
    const added = await t.admin('POST', '/v1/services/backend/secrets');
    assert.equal(added.statusCode, 201, added.body);
    const { id, client_secret: secret } = added.json<{ id: string; client_secret: string }>();
    const answer = await t.post('/oauth/token', form, { clientId: backend.clientId, secret }, second.app);
    assert.equal(answer.statusCode, 200, `round ${round}`);
    assert.equal((await t.admin('DELETE', `/v1/services/backend/secrets/${id}`)).statusCode, 204);
  }
});
