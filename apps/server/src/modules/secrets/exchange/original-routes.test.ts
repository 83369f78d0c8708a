import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { claimsOf } from '../../../testing/oauth-fixture.ts';
import { createSecretsFixture, exchangeGrant, jwtType, type SecretsFixture } from '../secrets-fixture.ts';

let node: SecretsFixture;
before(async () => {
  node = await createSecretsFixture();
});
after(() => node.closeAddresses());

/** What the original's RestTokenExchangeClient sends. */
function send(
  token: string,
  form: Record<string, string> = {},
  headers: Record<string, string> = {},
  path = '/secret-server/token-exchange',
) {
  return node.app.inject({
    method: 'POST',
    url: path,
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/x-www-form-urlencoded',
      accept: '*/*',
      ...headers,
    },
    payload: new URLSearchParams({
      audience: 'records',
      grant_type: exchangeGrant,
      subject_token: token,
      subject_token_type: jwtType,
      ...form,
    }).toString(),
  });
}

test('the answer has the original’s members, and its token verifies by RSA with the keys at /pop', async () => {
  const token = await node.signIn('alice');
  const answer = await send(token);
  assert.equal(answer.statusCode, 200, answer.body);
  const body = answer.json<Record<string, unknown>>();
  assert.deepEqual(Object.keys(body).toSorted(), [
    'access_token',
    'expires_in',
    'issued_token_type',
    'refresh_token',
    'scope',
    'token_type',
  ]);
  assert.equal(body['refresh_token'], null);
  await node.app.listen({ host: '127.0.0.1', port: 0 });
  const address = node.app.server.address() as { port: number };
  const keys = createRemoteJWKSet(new URL(`http://127.0.0.1:${address.port}/pop`));
  const { payload, protectedHeader } = await jwtVerify(body['access_token'] as string, keys, { issuer: node.issuer });
  assert.equal(protectedHeader.alg, 'RS256');
  assert.equal(protectedHeader.typ, 'JWT');
  const subject = claimsOf(token);
  assert.equal(payload.sub, subject['sub']);
  assert.equal(payload.exp, subject['exp']);
  assert.equal(payload['typ'], 'Bearer');
  assert.equal(payload['role'], 'USER');
  assert.equal(payload.aud, undefined);
  const { records } = payload['secret'] as { records: string };
  assert.match(await node.open(records), /^[A-Za-z0-9_-]{43}$/);
});

test('unknown audiences are dropped, and the others all carry the same secret', async () => {
  await node.createService('second', { audience: 'second', pop_url: node.popUrl });
  const answer = await send(await node.signIn('alice'), { audience: 'records, second,unknown' });
  const secret = claimsOf(answer.json<{ access_token: string }>().access_token)['secret'] as Record<string, string>;
  assert.deepEqual(Object.keys(secret).toSorted(), ['records', 'second']);
  assert.equal(await node.open(secret['records'] ?? ''), await node.open(secret['second'] ?? ''));
  const none = await send(await node.signIn('alice'), { audience: 'unknown' });
  assert.deepEqual(claimsOf(none.json<{ access_token: string }>().access_token)['secret'], {});
});

test('the plain exchange endpoint gives no secret', async () => {
  const answer = await send(await node.signIn('alice'), {}, {}, '/token/token-exchange');
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal(claimsOf(answer.json<{ access_token: string }>().access_token)['secret'], undefined);
});

test('errors have the original’s shapes', async () => {
  const token = await node.signIn('alice');
  const wrong = await send(token, { grant_type: 'x' });
  assert.equal(wrong.statusCode, 400);
  assert.deepEqual(wrong.json<{ error: string[] }>().error, ['invalid_request']);
  for (const [form, headers] of [
    [{ subject_token: 'my fake access token' }, {}],
    [{}, { authorization: 'Bearer my fake access token' }],
    [{}, { authorization: '' }],
    [{ subject_token: `${token.slice(0, -4)}AAAA` }, {}],
  ] as const) {
    const answer = await send(token, form, headers);
    assert.equal(answer.statusCode, 403, JSON.stringify({ form, headers }));
    assert.match(String(answer.headers['content-type']), /text\/plain/);
  }
  const json = await node.app.inject({
    method: 'POST',
    url: '/secret-server/token-exchange',
    payload: '<x/>',
    headers: { 'content-type': 'text/xml' },
  });
  assert.equal(json.statusCode, 415);
});

test('a foreign user is found a service by its audience, and the token is not one for our own API', async () => {
  const answer = await send(await node.partner.sign({ sub: 'dora', realm_access: { roles: ['r1', 'r2'] } }), {
    scope: 'r2 r9',
  });
  assert.equal(answer.statusCode, 200, answer.body);
  const body = answer.json<{ access_token: string; scope: string }>();
  assert.equal(body.scope, 'r2');
  assert.deepEqual(claimsOf(body.access_token)['scp'], ['r2']);
  assert.ok((claimsOf(body.access_token)['secret'] as Record<string, string>)['records']);
  const own = await node.app.inject({ url: '/v1/me', headers: { authorization: `Bearer ${body.access_token}` } });
  assert.equal(own.statusCode, 401);
});

test('a foreign token that lives for years does not make one of ours that does', async () => {
  const now = Math.floor(node.clock.now().getTime() / 1000);
  const answer = await send(await node.partner.sign({ sub: 'dora', exp: now + 10 * 365 * 86_400 }));
  const body = answer.json<{ access_token: string; expires_in: number }>();
  assert.equal(body.expires_in, 3600);
  assert.equal(claimsOf(body.access_token)['exp'], now + 3600);
});
