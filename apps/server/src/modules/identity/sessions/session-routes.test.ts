import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encryptCompactJwe } from '@gatehouse/crypto';
import { claimsOf, createOauthFixture, userPassword } from '../../../testing/oauth-fixture.ts';

const t = await createOauthFixture();
const second = (await t.another()).app;
const { uid } = await t.createUser('alice', ['developer']);
await t.createUser('auditor', ['auditor']);
await t.createUser('admin', ['admin']);
await t.createService('records', {});
await t.createService('mail', {});

interface Tokens {
  access_token: string;
  refresh_token: string;
  scope: string;
}
async function signIn(username = 'alice', extra: object = {}): Promise<Tokens> {
  const answer = await t.app.inject({
    method: 'POST',
    url: '/v1/sessions',
    payload: { username, password: userPassword, ...extra },
  });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json<Tokens>();
}
const call = (method: 'GET' | 'DELETE', url: string, token: string, app = t.app) =>
  app.inject({ method, url, headers: { authorization: `Bearer ${token}` } });
const refresh = (token: string, app = t.app) =>
  app.inject({ method: 'POST', url: '/v1/sessions/refresh', payload: { refresh_token: token } });

test('a sign-in gives tokens for us and for every service of the organization', async () => {
  const tokens = await signIn();
  const claims = claimsOf(tokens.access_token);
  assert.deepEqual(claims['aud'], [t.issuer, 'acme.mail', 'acme.records']);
  assert.equal(claims['client_id'], 'gatehouse');
  assert.equal(claims['sub'], uid);
  assert.deepEqual(claims['roles'], ['developer']);
  assert.equal(tokens.scope, 'openid profile gatehouse');
  assert.equal((await t.audit('session.created')).at(-1)?.details['kind'], 'headless');
  const narrow = await signIn('alice', { audience: ['acme.records'] });
  assert.equal(claimsOf(narrow.access_token)['aud'], 'acme.records');
  assert.equal(narrow.scope, 'openid profile');
  assert.equal(claimsOf((await refresh(narrow.refresh_token)).json().access_token)['aud'], 'acme.records');
});

test('a backend cannot use at our own API the token that a user showed it, when it was made for the backend', async () => {
  const narrow = await signIn('alice', { audience: ['acme.records'] });
  for (const url of ['/v1/me', '/v1/users', '/v1/sessions']) {
    const answer = await t.app.inject({ url, headers: { authorization: `Bearer ${narrow.access_token}` } });
    assert.equal(answer.statusCode, 401, url);
  }
  // Narrowed at a refresh instead, for one access token only; never widened.
  const broad = await signIn('alice');
  const renew = (token: string, audience: string[]) =>
    t.app.inject({ method: 'POST', url: '/v1/sessions/refresh', payload: { refresh_token: token, audience } });
  const shown = (await renew(broad.refresh_token, ['acme.records'])).json();
  const answer = await t.app.inject({ url: '/v1/me', headers: { authorization: `Bearer ${shown.access_token}` } });
  assert.equal(answer.statusCode, 401);
  const own = (await renew(shown.refresh_token, [t.issuer])).json();
  const me = await t.app.inject({ url: '/v1/me', headers: { authorization: `Bearer ${own.access_token}` } });
  assert.equal(me.statusCode, 200);
  assert.equal((await renew(narrow.refresh_token, [t.issuer])).statusCode, 400);
});

test('a session ends with its refresh token too, and the answer tells nothing', async () => {
  const end = (token: string) =>
    t.app.inject({ method: 'POST', url: '/v1/sessions/end', payload: { refresh_token: token } });
  const narrow = await signIn('alice', { audience: ['acme.records'] });
  assert.equal((await end(narrow.refresh_token)).statusCode, 204);
  assert.equal((await refresh(narrow.refresh_token)).statusCode, 401);
  assert.equal((await t.audit('session.revoked')).at(-1)?.reason, 'signed out');
  const ended = (await t.audit('session.revoked')).length;
  for (const token of [narrow.refresh_token, 'no-such-token']) assert.equal((await end(token)).statusCode, 204);
  assert.equal((await t.audit('session.revoked')).length, ended);
});

test('name and password can come sealed to a key of /pop', async () => {
  const { keys } = (await t.app.inject({ url: '/pop' })).json<{ keys: { use: string; alg: string }[] }>();
  const key = keys.find((one) => one.use === 'enc');
  assert.ok(key);
  const seal = (plaintext: string) =>
    encryptCompactJwe({ jwk: key as never, plaintext: Buffer.from(plaintext), alg: key.alg as never });
  const send = (payload: object) => t.app.inject({ method: 'POST', url: '/v1/sessions', payload });
  const good = await send({ credentials: seal(JSON.stringify({ username: 'alice', password: userPassword })) });
  assert.equal(good.statusCode, 200, good.body);
  const wrong = await send({ credentials: seal(JSON.stringify({ username: 'alice', password: 'wrong' })) });
  assert.equal(wrong.statusCode, 401);
  for (const plaintext of [
    '{}',
    'x',
    '{"username":"alice"}',
    '{"username":"alice","password":"x","more":1}',
    '{"username":1,"password":2}',
  ]) {
    assert.equal((await send({ credentials: seal(plaintext) })).statusCode, 400, plaintext);
  }
  assert.equal((await send({ credentials: 'a.b.c.d.e' })).statusCode, 400);
  const both = await send({ credentials: seal('{}'), username: 'alice' });
  assert.equal(both.json().errors[0].field, 'credentials');
});

test('a wrong password and an unknown name answer alike', async () => {
  const send = async (username: string) => {
    const answer = await t.app.inject({
      method: 'POST',
      url: '/v1/sessions',
      payload: { username, password: 'not the password at all' },
    });
    const { request_id: _id, ...body } = answer.json<Record<string, unknown>>();
    return { status: answer.statusCode, body, length: answer.body.length };
  };
  assert.deepEqual(await send('alice'), await send('nobody'));
});

test('requests that are not right name the field, and nothing is coerced', async () => {
  for (const [payload, field] of [
    [{}, 'username'],
    [{ username: 'alice' }, 'password'],
    [{ username: 'alice', password: 1 }, 'password'],
    [{ username: 'alice', password: 'x', remember: true }, 'remember'],
    [{ username: 'alice', password: userPassword, audience: ['acme.none'] }, 'audience.0'],
    [{ username: 'alice', password: userPassword, audience: [] }, 'audience'],
  ] as const) {
    const answer = await t.app.inject({ method: 'POST', url: '/v1/sessions', payload });
    assert.equal(answer.statusCode, 400, answer.body);
    assert.equal(answer.json().errors[0].field, field);
  }
});

test('each sign-in is a new session; refreshing keeps it', async () => {
  const [one, two] = [await signIn(), await signIn()];
  const sid = (token: string) => claimsOf(token)['sid'];
  assert.notEqual(sid(one.access_token), sid(two.access_token));
  const next = (await refresh(one.refresh_token)).json<Tokens>();
  assert.equal(sid(next.access_token), sid(one.access_token));
  assert.notEqual(next.refresh_token, one.refresh_token);
});

test('signing out ends refresh and access tokens on every node at once', async () => {
  const tokens = await signIn();
  assert.equal((await call('GET', '/v1/me', tokens.access_token, second)).statusCode, 200);
  assert.equal((await call('DELETE', '/v1/sessions/current', tokens.access_token)).statusCode, 204);
  for (const app of [t.app, second]) {
    assert.equal((await call('GET', '/v1/me', tokens.access_token, app)).statusCode, 401);
    const refused = await refresh(tokens.refresh_token, app);
    assert.equal(refused.statusCode, 401);
    assert.equal(refused.json().code, 'identity.refresh_refused');
  }
});

test('50 parallel refreshes on two nodes give one successor; a replay after the window ends the session', async () => {
  const tokens = await signIn();
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) => refresh(tokens.refresh_token, index % 2 ? second : t.app)),
  );
  assert.ok(answers.every((answer) => answer.statusCode === 200));
  const successors = new Set(answers.map((answer) => answer.json<Tokens>().refresh_token));
  assert.equal(successors.size, 1);
  t.clock.advance(11);
  assert.equal((await refresh(tokens.refresh_token)).statusCode, 401);
  assert.equal((await refresh([...successors][0] ?? '')).statusCode, 401);
  assert.equal((await t.audit('token.reuse_detected')).length, 1);
});

test('users see and end their own sessions; others need a permission in the same organization', async () => {
  const alice = await signIn();
  const other = await signIn();
  const auditor = await signIn('auditor');
  const admin = await signIn('admin');
  const list = async (token: string, query = '') =>
    (await call('GET', `/v1/sessions${query}`, token)).json<{
      items: { id: string; current: boolean; user: string }[];
      next_cursor?: string;
    }>();
  const own = await list(alice.access_token);
  assert.equal(own.items.filter((item) => item.current).length, 1);
  assert.ok(own.items.every((item) => item.user === uid));
  const page = await list(alice.access_token, '?limit=1');
  assert.ok(page.next_cursor);
  assert.notEqual(
    (await list(alice.access_token, `?limit=1&cursor=${page.next_cursor}`)).items[0]?.id,
    page.items[0]?.id,
  );

  assert.equal((await call('GET', `/v1/sessions?user=${uid}`, auditor.access_token)).statusCode, 200);
  const auditorUid = String(claimsOf(auditor.access_token)['sub']);
  assert.equal((await call('GET', `/v1/sessions?user=${auditorUid}`, alice.access_token)).statusCode, 403);

  const target = `/v1/sessions/${String(claimsOf(other.access_token)['sid'])}`;
  assert.equal(
    (await call('DELETE', target, auditor.access_token)).statusCode,
    404,
    'without sessions:revoke it is not there',
  );
  assert.equal((await call('DELETE', target, await t.operatorToken())).statusCode, 404, 'another organization');
  assert.equal((await call('DELETE', target, admin.access_token)).statusCode, 204);
  assert.equal((await refresh(other.refresh_token)).statusCode, 401);
  assert.equal(
    (await call('DELETE', `/v1/sessions/${String(claimsOf(alice.access_token)['sid'])}`, alice.access_token))
      .statusCode,
    204,
  );
});

test('changes of roles show in the next token and in the rights at once', async () => {
  const { uid: carol } = await t.createUser('carol', ['developer']);
  const tokens = await signIn('carol');
  assert.equal((await call('GET', '/v1/services', tokens.access_token)).statusCode, 200);
  assert.equal((await t.admin('PATCH', `/v1/users/${carol}`, { roles: [] })).statusCode, 200);
  assert.equal((await call('GET', '/v1/services', tokens.access_token)).statusCode, 403);
  assert.deepEqual(claimsOf((await refresh(tokens.refresh_token)).json().access_token)['roles'], []);
});

test('the scheme is read in any case; anything that is not a good token of ours is 401 with the challenge', async () => {
  const { access_token: token, refresh_token: refreshToken } = await signIn();
  const ask = (authorization: string) => t.app.inject({ url: '/v1/me', headers: { authorization } });
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) assert.equal((await ask(`${scheme} ${token}`)).statusCode, 200);
  const [header = '', payload = '', signature = ''] = token.split('.');
  const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' })).toString('base64url');
  for (const value of [
    '',
    'Bearer',
    `Basic ${token}`,
    `Bearer ${token}x`,
    `Bearer ${token} ${token}`,
    `Bearer ${refreshToken}`,
    `Bearer ${none}.${payload}.`,
    `Bearer ${none}.${payload}.${signature}`,
    `Bearer ${header}.${payload}.`,
    `DPoP ${token}`,
  ]) {
    const answer = await ask(value);
    assert.equal(answer.statusCode, 401, value);
    assert.ok(answer.headers['www-authenticate'], value);
  }
  t.clock.advance(600 + 61);
  assert.equal((await ask(`Bearer ${token}`)).statusCode, 401, 'expired, beyond the skew');
});
