import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  authorizePath,
  createBrowser,
  createOauthFixture,
  pkce,
  redirectUri,
  userPassword,
} from '../../../testing/oauth-fixture.ts';

const t = await createOauthFixture();
const second = (await t.another()).app;
const backend = await t.createService('backend', { grants: ['client_credentials'] });
const records = await t.createService('records', { grants: ['client_credentials'] });
const { uid } = await t.createUser('alice');
const operator = await t.operatorToken();
await t.app.inject({
  method: 'POST',
  url: '/v1/organizations',
  headers: { authorization: `Bearer ${operator}` },
  payload: { name: 'globex' },
});
const foreignAnswer = await t.app.inject({
  method: 'POST',
  url: '/v1/services',
  headers: { authorization: `Bearer ${operator}`, 'gatehouse-organization': 'globex' },
  payload: { name: 'spy', grants: ['client_credentials'] },
});
const foreign = {
  clientId: foreignAnswer.json().client_id as string,
  secret: foreignAnswer.json().client_secret as string,
};

async function token(service = backend, form: Record<string, string> = {}): Promise<string> {
  const answer = await t.post('/oauth/token', { grant_type: 'client_credentials', ...form }, service);
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json<{ access_token: string }>().access_token;
}
async function signIn() {
  const answer = await t.app.inject({
    method: 'POST',
    url: '/v1/sessions',
    payload: { username: 'alice', password: userPassword },
  });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json<{ access_token: string; refresh_token: string }>();
}
const introspect = async (value: string, service = backend, app = t.app) =>
  (await t.post('/oauth/introspect', { token: value }, service, app)).json<Record<string, unknown>>();

test('a service learns about its own tokens and those meant for it, and nothing about others', async () => {
  const own = await token();
  assert.equal((await introspect(own))['active'], true);
  assert.equal((await introspect(own))['client_id'], 'acme.backend');
  assert.deepEqual(await introspect(own, records), { active: false });
  const forRecords = await token(backend, { audience: 'acme.records' });
  assert.equal((await introspect(forRecords, records))['aud'], 'acme.records');
  const session = await signIn();
  assert.equal((await introspect(session.access_token, records))['username'], 'alice');
  assert.deepEqual(await introspect(session.access_token, foreign), { active: false });
  assert.deepEqual(
    await introspect(session.refresh_token, records),
    { active: false },
    'the refresh token of another client',
  );
  for (const nonsense of ['x', 'a.b.c', '..', own.slice(0, -2), `${own}x`, 'é']) {
    assert.deepEqual(await introspect(nonsense), { active: false }, nonsense);
  }
});

test('a revoked token is refused on every node at once', async () => {
  const value = await token();
  assert.equal((await introspect(value, backend, second))['active'], true);
  assert.equal((await t.post('/oauth/revoke', { token: value }, backend)).statusCode, 200);
  for (const app of [t.app, second]) {
    assert.deepEqual(await introspect(value, backend, app), { active: false });
    assert.equal((await app.inject({ url: '/v1/me', headers: { authorization: `Bearer ${value}` } })).statusCode, 401);
  }
  assert.equal((await t.audit('token.revoked')).length, 1);
});

test('nobody revokes the token of another, and is told nothing', async () => {
  const value = await token();
  for (const service of [records, foreign]) {
    const answer = await t.post('/oauth/revoke', { token: value, token_type_hint: 'access_token' }, service);
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.body, '');
  }
  assert.equal((await introspect(value))['active'], true);
  assert.equal((await t.post('/oauth/revoke', { token: value }, { ...backend, secret: 'wrong' })).statusCode, 401);
  assert.equal((await t.post('/oauth/revoke', {}, backend)).statusCode, 400);
});

test('suspending a service ends the tokens of its users too', async () => {
  const app = await t.createService('app', {
    grants: ['authorization_code'],
    redirect_uris: [redirectUri],
    first_party: true,
  });
  const { verifier, challenge } = pkce();
  const target = await createBrowser(t.app).authorize(
    authorizePath({ client_id: app.clientId, code_challenge: challenge, scope: 'openid gatehouse' }),
    { username: 'alice', password: userPassword },
  );
  const form = {
    grant_type: 'authorization_code',
    code: target.searchParams.get('code') ?? '',
    redirect_uri: redirectUri,
    code_verifier: verifier,
  };
  const tokens = (await t.post('/oauth/token', form, app)).json<{ access_token: string; refresh_token: string }>();
  const me = (on = t.app) => on.inject({ url: '/v1/me', headers: { authorization: `Bearer ${tokens.access_token}` } });
  assert.equal((await me()).statusCode, 200);
  assert.equal((await t.admin('POST', '/v1/services/app/suspend')).statusCode, 200);
  for (const on of [t.app, second]) assert.equal((await me(on)).statusCode, 401);
});

test('a token for a service is not good at our API, a token without the scope cannot use it, and a suspension ends both', async () => {
  const forRecords = await token(backend, { audience: 'acme.records' });
  const me = (value: string) => t.app.inject({ url: '/v1/me', headers: { authorization: `Bearer ${value}` } });
  assert.equal((await me(forRecords)).statusCode, 401);
  assert.equal(
    (await t.post('/oauth/token', { grant_type: 'client_credentials', audience: 'globex.spy' }, backend)).json().error,
    'invalid_target',
  );
  assert.equal(
    (await t.post('/oauth/token', { grant_type: 'client_credentials', audience: 'nobody' }, backend)).json().error,
    'invalid_target',
  );
  const session = await signIn();
  assert.equal((await me(session.access_token)).statusCode, 200);
  assert.equal((await t.admin('POST', `/v1/users/${uid}/suspend`)).statusCode, 200);
  assert.equal((await me(session.access_token)).statusCode, 401);
  assert.deepEqual(await introspect(session.access_token, records), { active: false });
  assert.equal((await t.admin('POST', `/v1/users/${uid}/restore`)).statusCode, 200);
  assert.equal((await me(session.access_token)).statusCode, 401);
});
