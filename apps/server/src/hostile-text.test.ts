import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authorizePath, createOauthFixture, redirectUri, userPassword } from './testing/oauth-fixture.ts';

const t = await createOauthFixture();
const cursor = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

test('text that PostgreSQL cannot store is the caller’s mistake, wherever it comes in', async () => {
  const nul = cursor(['\u0000']);
  for (const path of [
    ...['users', 'roles', 'services', 'keyrings', 'secrets', 'sessions', 'organizations'].map(
      (list) => `${list}?cursor=${nul}`,
    ),
    'secrets?subject=%00',
    'sessions?user=%00',
    'audit?actor=%00',
  ]) {
    const answer = await t.admin('GET', `/v1/${path}`);
    assert.equal(answer.statusCode, 400, `${path}: ${answer.body}`);
  }
  const x = Buffer.alloc(32, 9).toString('base64url');
  const keys = [{ kty: 'OKP', crv: 'X25519', use: 'enc', x, note: 'a\u0000b' }];
  assert.equal((await t.admin('POST', '/v1/services', { name: 'odd', jwks: { keys } })).statusCode, 400);
});

test('a client id, an audience or an address with anything in it is refused, not an error of ours', async () => {
  const web = await t.createService('web', { grants: ['authorization_code'], redirect_uris: [redirectUri] });
  const authorize = (query: string) => t.app.inject({ url: `/oauth/authorize?${query}` });
  assert.equal((await authorize('client_id=%00')).statusCode, 400);
  const asked = { client_id: web.clientId, code_challenge: 'x'.repeat(43) };
  for (const resource of ['urn:gatehouse:audience:%00', 'urn:gatehouse:audience:%zz', 'urn:gatehouse:audience:']) {
    const odd = await t.app.inject({ url: authorizePath({ ...asked, resource }) });
    assert.match(String(odd.headers.location), /error=invalid_target/, resource);
  }
  const basic = Buffer.from('a%00:b').toString('base64');
  const token = await t.app.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: `Basic ${basic}` },
    payload: 'grant_type=client_credentials',
  });
  assert.equal(token.statusCode, 401, token.body);
});

test('the address of a sign-in page cannot write cookies', async () => {
  for (const uid of ['%00', 'a=b;%20path=', '%0d%0aset-cookie:x', 'short', `x${'%3b'.repeat(20)}`]) {
    const answer = await t.app.inject({ url: `/oauth/interaction/${uid}` });
    assert.equal(answer.statusCode, 400, `${uid}: ${answer.body}`);
    assert.match(answer.body, /expired/);
    assert.deepEqual(answer.headers['set-cookie'] ?? [], [], uid);
  }
});

test('a time that does not exist is refused by name', async () => {
  await t.createService('late', {});
  const answer = await t.admin('POST', '/v1/services/late/secrets', { expires_at: '2030-12-31T23:59:60Z' });
  assert.equal(answer.statusCode, 400, answer.body);
  assert.equal(answer.json<{ errors: { field: string }[] }>().errors[0]?.field, 'expires_at');
});

test('names and passwords with control characters are wrong credentials like any other', async () => {
  for (const payload of [
    { username: 'a\u0000', password: userPassword },
    { username: 'root-operator', password: 'b\u0000' },
  ]) {
    assert.equal((await t.app.inject({ method: 'POST', url: '/v1/sessions', payload })).statusCode, 401);
  }
});
