import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  authorizePath,
  claimsOf,
  createBrowser,
  createOauthFixture,
  pkce,
  redirectUri,
  type TestService,
  userPassword,
} from '../../../testing/oauth-fixture.ts';

const t = await createOauthFixture();
const nodes = [t.app, (await t.another()).app, (await t.another()).app];
const alice = { username: 'alice', password: userPassword };
const { uid } = await t.createUser('alice');
const settings = { grants: ['authorization_code'], redirect_uris: [redirectUri], first_party: true };
const web = await t.createService('web', settings);
const other = await t.createService('other', settings);
const spa = await t.createService('spa', { ...settings, authentication: 'none' });

async function signIn(client: TestService, request: Record<string, string> = { scope: 'openid profile gatehouse' }) {
  const { verifier, challenge } = pkce();
  const browser = createBrowser(t.app);
  const target = await browser.authorize(
    authorizePath({ client_id: client.clientId, code_challenge: challenge, ...request }),
    alice,
  );
  const form = {
    grant_type: 'authorization_code',
    code: target.searchParams.get('code') ?? '',
    redirect_uri: redirectUri,
    code_verifier: verifier,
    ...(client === spa ? { client_id: spa.clientId } : {}),
  };
  const answer = await t.post('/oauth/token', form, client === spa ? undefined : client);
  assert.equal(answer.statusCode, 200, answer.body);
  return { browser, ...answer.json<{ access_token: string; refresh_token: string; scope: string }>() };
}

const refresh = (token: string, client: TestService, extra: Record<string, string> = {}, node = t.app) =>
  t.post(
    '/oauth/token',
    {
      grant_type: 'refresh_token',
      refresh_token: token,
      ...(client === spa ? { client_id: spa.clientId } : {}),
      ...extra,
    },
    client === spa ? undefined : client,
    node,
  );

for (const client of [web, spa]) {
  test(`every refresh rotates, for ${client === spa ? 'public' : 'confidential'} clients`, async () => {
    const first = await signIn(client);
    const second = await refresh(first.refresh_token, client);
    assert.equal(second.statusCode, 200, second.body);
    const tokens = second.json<{ access_token: string; refresh_token: string; id_token: string; scope: string }>();
    assert.notEqual(tokens.refresh_token, first.refresh_token);
    assert.equal(tokens.scope, 'openid profile gatehouse');
    assert.equal(claimsOf(tokens.access_token)['sid'], claimsOf(first.access_token)['sid']);
    assert.equal(claimsOf(tokens.access_token)['auth_time'], claimsOf(first.access_token)['auth_time']);
    assert.equal(claimsOf(tokens.id_token)['sub'], uid);
    assert.equal((await refresh(tokens.refresh_token, client)).statusCode, 200);
  });
}

test('50 refreshes at once on three nodes with one token: one successor, nobody logged out', async () => {
  const { refresh_token: token } = await signIn(web);
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) => refresh(token, web, {}, nodes[index % 3])),
  );
  assert.deepEqual(new Set(answers.map((answer) => answer.statusCode)), new Set([200]));
  const successors = new Set(answers.map((answer) => answer.json<{ refresh_token: string }>().refresh_token));
  assert.equal(successors.size, 1);
  assert.equal((await refresh([...successors][0] ?? '', web)).statusCode, 200);
});

test('the same token within ten seconds gets the same successor; after them, the family ends on every node', async () => {
  const { refresh_token: token, access_token: accessToken } = await signIn(web);
  const successor = (await refresh(token, web)).json().refresh_token as string;
  t.clock.advance(10);
  assert.equal((await refresh(token, web)).json().refresh_token, successor);
  t.clock.advance(1);
  const reused = await refresh(token, web);
  assert.equal(reused.statusCode, 400);
  assert.equal(reused.json().error, 'invalid_grant');
  for (const node of nodes) {
    assert.equal((await refresh(successor, web, {}, node)).json().error, 'invalid_grant');
    const me = await node.inject({ url: '/v1/me', headers: { authorization: `Bearer ${accessToken}` } });
    assert.equal(me.statusCode, 401, 'the access token of the family');
  }
  const [entry] = await t.audit('token.reuse_detected');
  assert.equal(entry?.outcome, 'failure');
});

test('a refresh token is bound to its client, to its scope and to its audience', async () => {
  const { refresh_token: token } = await signIn(web, { scope: 'openid' });
  assert.equal((await refresh(token, other)).json().error, 'invalid_grant');
  assert.equal((await refresh(token, web, { scope: 'openid gatehouse' })).json().error, 'invalid_scope');
  assert.equal(
    (await refresh(token, web, { resource: 'urn:gatehouse:audience:acme.other' })).json().error,
    'invalid_target',
  );
  const narrowed = (await refresh(token, web, { scope: 'openid' })).json<{ scope: string }>();
  assert.equal(narrowed.scope, 'openid');
});

test('a refresh with a narrower scope does not narrow the next one', async () => {
  const { refresh_token: token } = await signIn(web);
  const narrow = (await refresh(token, web, { scope: 'openid' })).json<{ scope: string; refresh_token: string }>();
  assert.equal(narrow.scope, 'openid');
  assert.equal((await refresh(narrow.refresh_token, web)).json().scope, 'openid profile gatehouse');
});

test('with offline access it outlives the browser; idle for 14 days ends it, and 90 days in all', async () => {
  const offline = { scope: 'openid offline_access', prompt: 'consent' };
  const idle = await signIn(web, offline);
  t.clock.advance(14 * 86_400 + 1);
  assert.equal((await refresh(idle.refresh_token, web)).json().error, 'invalid_grant');

  let { refresh_token: token } = await signIn(web, offline);
  let days = 0;
  for (; days < 200; days += 10) {
    const answer = await refresh(token, web);
    if (answer.statusCode !== 200) break;
    token = answer.json<{ refresh_token: string }>().refresh_token;
    t.clock.advance(10 * 86_400);
  }
  assert.equal(days, 90);
});

test('a browser that signs out ends the grants of its sign-in', async () => {
  const { browser, refresh_token: token } = await signIn(web);
  const { page } = await browser.open('/oauth/logout');
  const done = await browser.submit(page, { logout: 'yes' });
  assert.match(done.page.body, /signed out/);
  assert.equal((await refresh(token, web)).json().error, 'invalid_grant');
});

test('suspending the user ends refresh on every node at once', async () => {
  const { refresh_token: token } = await signIn(spa);
  assert.equal((await t.admin('POST', `/v1/users/${uid}/suspend`)).statusCode, 200);
  for (const node of nodes) assert.equal((await refresh(token, spa, {}, node)).json().error, 'invalid_grant');
  assert.equal((await t.admin('POST', `/v1/users/${uid}/restore`)).statusCode, 200);
  assert.equal((await refresh(token, spa)).json().error, 'invalid_grant', 'what was ended stays ended');
});
