import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  authorizePath,
  claimsOf,
  createBrowser,
  createOauthFixture,
  pkce,
  redirectUri,
  userPassword,
} from '../../../testing/oauth-fixture.ts';

const t = await createOauthFixture();
const alice = { username: 'alice', password: userPassword };
await t.createUser('alice', ['developer']);
const web = await t.createService('web', {
  grants: ['authorization_code'],
  redirect_uris: [redirectUri, 'https://app.acme.example/other'],
});
const portal = await t.createService('portal', {
  grants: ['authorization_code'],
  redirect_uris: [redirectUri],
  first_party: true,
});
const spa = await t.createService('spa', {
  grants: ['authorization_code'],
  authentication: 'none',
  redirect_uris: [redirectUri],
});

async function getCode(clientId: string, challenge: string, extra: Record<string, string> = {}): Promise<string> {
  const target = await createBrowser(t.app).authorize(
    authorizePath({ client_id: clientId, code_challenge: challenge, ...extra }),
    alice,
  );
  const code = target.searchParams.get('code');
  assert.ok(code, target.href);
  return code;
}

const redeem = (code: string, verifier: string, client = web, extra: Record<string, string> = {}) =>
  t.post(
    '/oauth/token',
    { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier, ...extra },
    client,
  );

test('a code becomes tokens that say who, for whom and from which session', async () => {
  const { verifier, challenge } = pkce();
  const browser = createBrowser(t.app);
  const target = await browser.authorize(
    authorizePath({ client_id: web.clientId, code_challenge: challenge, nonce: 'nonce-1' }),
    alice,
  );
  assert.equal(target.searchParams.get('iss'), t.issuer); // RFC 9207
  assert.equal(target.searchParams.get('state'), 'state-1');
  const answer = await redeem(target.searchParams.get('code') ?? '', verifier);
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal(answer.headers['cache-control'], 'no-store');
  const tokens = answer.json<Record<string, string>>();
  const claims = claimsOf(tokens['access_token'] ?? '');
  assert.deepEqual(claims['aud'], ['acme.web', t.issuer]);
  assert.deepEqual(claims['roles'], ['developer']);
  assert.equal(claims['org'], 'acme');
  assert.equal(claims['client_id'], 'acme.web');
  assert.match(String(claims['sid']), /^ses_/);
  const header = JSON.parse(Buffer.from((tokens['access_token'] ?? '').split('.')[0] ?? '', 'base64url').toString());
  assert.equal(header.typ, 'at+jwt');
  assert.equal(header.alg, 'ES256');
  const idToken = claimsOf(tokens['id_token'] ?? '');
  assert.equal(idToken['nonce'], 'nonce-1');
  assert.equal(idToken['aud'], 'acme.web');
  assert.equal(idToken['preferred_username'], 'alice');
  assert.equal((await t.audit('consent.granted')).length, 1);
  assert.equal((await t.audit('token.issued')).filter(({ details }) => details['client_id'] === 'acme.web').length, 1);
});

test('a first-party service asks nobody for consent, a third-party one does', async () => {
  const { challenge } = pkce();
  const browser = createBrowser(t.app);
  const open = (clientId: string) => browser.open(authorizePath({ client_id: clientId, code_challenge: challenge }));
  const login = await open(portal.clientId);
  const done = await browser.submit(login.page, alice);
  assert.match(done.location ?? '', /code=/);
  const consent = await open(web.clientId);
  assert.match(consent.page.body, /Allow web\?/);
  const denied = await browser.submit(consent.page, { decision: 'deny' });
  assert.equal(new URL(denied.location ?? '').searchParams.get('error'), 'access_denied');
});

test('a code works once; its replay ends the grant, the refresh token and the access token', async () => {
  const { verifier, challenge } = pkce();
  const code = await getCode(web.clientId, challenge);
  const first = (await redeem(code, verifier)).json<Record<string, string>>();
  const userinfo = () =>
    t.app.inject({ url: '/oauth/userinfo', headers: { authorization: `Bearer ${first['access_token']}` } });
  assert.equal((await userinfo()).statusCode, 200);
  const second = await redeem(code, verifier);
  assert.equal(second.statusCode, 400);
  assert.equal(second.json().error, 'invalid_grant');
  assert.equal((await userinfo()).statusCode, 401);
  const refresh = await t.post(
    '/oauth/token',
    { grant_type: 'refresh_token', refresh_token: first['refresh_token'] ?? '' },
    web,
  );
  assert.equal(refresh.json().error, 'invalid_grant');
});

test('a code is bound to its client, its redirect URI, its verifier, and lives 60 seconds', async () => {
  const { verifier, challenge } = pkce();
  const cases: [string, () => Promise<{ statusCode: number; body: string }>][] = [
    ['another client', async () => redeem(await getCode(web.clientId, challenge), verifier, portal)],
    [
      'another redirect URI',
      async () =>
        redeem(await getCode(web.clientId, challenge), verifier, web, {
          redirect_uri: 'https://app.acme.example/other',
        }),
    ],
    ['another verifier', async () => redeem(await getCode(web.clientId, challenge), pkce().verifier)],
    [
      'no verifier',
      async () =>
        t.post(
          '/oauth/token',
          { grant_type: 'authorization_code', code: await getCode(web.clientId, challenge), redirect_uri: redirectUri },
          web,
        ),
    ],
    [
      'a minute later',
      async () => {
        const code = await getCode(web.clientId, challenge);
        t.clock.advance(61);
        return redeem(code, verifier);
      },
    ],
  ];
  for (const [name, run] of cases) {
    const answer = await run();
    assert.equal(answer.statusCode, 400, `${name}: ${answer.body}`);
    assert.match(answer.body, /invalid_grant|invalid_request/, name);
  }
});

test('PKCE S256 is required of every client; plain, none and other flows are refused', async () => {
  const open = async (parameters: Record<string, string>) => {
    const { location, page } = await createBrowser(t.app).open(authorizePath(parameters));
    return location === undefined ? page.body : (new URL(location).searchParams.get('error') ?? new URL(location).hash);
  };
  const { challenge, verifier } = pkce();
  const client = { client_id: web.clientId, code_challenge: challenge };
  assert.equal(await open({ client_id: web.clientId, code_challenge_method: '' }), 'invalid_request');
  assert.equal(await open({ ...client, code_challenge_method: 'plain', code_challenge: verifier }), 'invalid_request');
  for (const responseType of ['token', 'id_token', 'code id_token', 'code token', 'none']) {
    assert.match(
      await open({ ...client, response_type: responseType, nonce: 'n' }),
      /unsupported_response_type/,
      responseType,
    );
  }
  assert.equal(await open({ ...client, request: 'eyJhbGciOiJub25lIn0.e30.' }), 'request_not_supported');
  assert.equal(await open({ ...client, request_uri: 'https://evil.example/r' }), 'request_uri_not_supported');
  const password = await t.post('/oauth/token', { grant_type: 'password', ...alice }, web);
  assert.equal(password.json().error, 'unsupported_grant_type');
});

test('no redirect leads to an address that is not registered, and error pages reflect nothing', async () => {
  const attack = '<script>alert(1)</script>';
  for (const uri of [
    'https://evil.example/',
    `${redirectUri}/../x`,
    `${redirectUri}?x=1`,
    'https://app.acme.example/callback#f',
    'http://app.acme.example/callback',
    'https://app.acme.example.evil.example/callback',
    `javascript:alert(1)//${redirectUri}`,
  ]) {
    const { page, location } = await createBrowser(t.app).open(
      authorizePath({ client_id: web.clientId, code_challenge: pkce().challenge, redirect_uri: uri, state: attack }),
    );
    assert.equal(location, undefined, uri);
    assert.equal(page.statusCode, 400);
    assert.ok(!page.body.includes('evil') && !page.body.includes('alert(1)'), uri);
    assert.match(String(page.headers['content-security-policy']), /frame-ancestors 'none'/);
  }
  const unknown = await createBrowser(t.app).open(
    authorizePath({ client_id: attack, code_challenge: pkce().challenge }),
  );
  assert.equal(unknown.page.statusCode, 400);
  assert.ok(!unknown.page.body.includes('alert(1)'));
});

test('every redirect is a 303: a form is never posted on to somebody else', async () => {
  const { challenge } = pkce();
  const browser = createBrowser(t.app);
  const first = await browser.send({
    method: 'GET',
    url: authorizePath({ client_id: portal.clientId, code_challenge: challenge }),
  });
  assert.equal(first.statusCode, 303);
  const post = await t.app.inject({
    method: 'POST',
    url: '/oauth/authorize',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: authorizePath({ client_id: portal.clientId, code_challenge: challenge }).split('?')[1] ?? '',
  });
  assert.equal(post.statusCode, 303);
});

test('a public client needs no secret, and cannot pretend to have one', async () => {
  const { verifier, challenge } = pkce();
  const code = await getCode(spa.clientId, challenge);
  const form = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier };
  const pretending = await t.post('/oauth/token', { ...form, client_id: spa.clientId, client_secret: 'x' });
  assert.equal(pretending.statusCode, 401);
  const answer = await t.post('/oauth/token', { ...form, client_id: spa.clientId });
  assert.equal(answer.statusCode, 200, answer.body);
  const confidential = await t.post('/oauth/token', { ...form, client_id: web.clientId });
  assert.equal(confidential.statusCode, 401);
});

test('a pushed request works once, for its own client', async () => {
  const { verifier, challenge } = pkce();
  const parameters = Object.fromEntries(
    new URLSearchParams(authorizePath({ client_id: web.clientId, code_challenge: challenge }).split('?')[1]),
  );
  const pushed = await t.post('/oauth/par', parameters, web);
  assert.equal(pushed.statusCode, 201, pushed.body);
  const { request_uri: requestUri } = pushed.json<{ request_uri: string }>();
  const open = (clientId: string) =>
    `/oauth/authorize?${new URLSearchParams({ client_id: clientId, request_uri: requestUri }).toString()}`;
  const other = await createBrowser(t.app).open(open(portal.clientId));
  assert.ok(other.page.statusCode === 400 || /error=/.test(other.location ?? ''), 'another client');
  const target = await createBrowser(t.app).authorize(open(web.clientId), alice);
  assert.equal((await redeem(target.searchParams.get('code') ?? '', verifier)).statusCode, 200);
  const again = await createBrowser(t.app).open(open(web.clientId));
  assert.ok(again.page.statusCode === 400 || /error=/.test(again.location ?? ''), 'a second time');
  assert.equal((await t.post('/oauth/par', parameters, { ...web, secret: 'wrong' })).statusCode, 401);
});

test('a suspended user and a user of another organization get no code', async () => {
  const { uid } = await t.createUser('bob', []);
  const browser = createBrowser(t.app);
  const bob = { username: 'bob', password: userPassword };
  const path = authorizePath({ client_id: portal.clientId, code_challenge: pkce().challenge });
  assert.ok((await browser.authorize(path, bob)).searchParams.get('code'));
  assert.ok((await browser.authorize(path, bob)).searchParams.get('code'), 'signed in already');
  const suspended = await t.admin('POST', `/v1/users/${uid}/suspend`);
  assert.equal(suspended.statusCode, 200, suspended.body);
  const { page } = await browser.open(path);
  assert.match(page.body, /type="password"/, 'the browser sign-in has ended');
  const refused = await browser.submit(page, bob);
  assert.match(refused.page.body, /role="alert"/);
  const operator = await browser.submit(refused.page, {
    username: 'root-operator',
    password: 'correct horse battery staple 42',
  });
  assert.match(operator.page.body, /role="alert"/, 'no member of acme');
});
