import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { jwkThumbprint } from '@gatehouse/crypto';
import type { App } from '../../../kernel/index.ts';
import {
  authorizePath,
  basic,
  claimsOf,
  createBrowser,
  createOauthFixture,
  pkce,
  redirectUri,
  type TestService,
  userPassword,
} from '../../../testing/oauth-fixture.ts';

const t = await createOauthFixture();
const second = (await t.another()).app;
const alice = { username: 'alice', password: userPassword };
await t.createUser('alice');
const web = await t.createService('web', {
  grants: ['authorization_code', 'client_credentials', 'device_code'],
  redirect_uris: [redirectUri],
  post_logout_redirect_uris: ['https://app.acme.example/bye'],
  first_party: true,
});
const tv = await t.createService('tv', { grants: ['device_code'], authentication: 'none' });

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = publicKey.export({ format: 'jwk' }) as { kty: 'EC'; crv: 'P-256'; x: string; y: string };
const thumbprint = jwkThumbprint(jwk);
let serial = 0;
function proof(method: string, path: string, extra: Record<string, unknown> = {}): string {
  serial += 1;
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    htm: method,
    htu: `${t.issuer}${path}`,
    iat: Math.floor(t.clock.now().getTime() / 1000),
    jti: `p-${serial}`,
    ...extra,
  };
  const data = `${encode({ typ: 'dpop+jwt', alg: 'ES256', jwk })}.${encode(claims)}`;
  return `${data}.${sign('sha256', Buffer.from(data), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}
const ath = (token: string) => createHash('sha256').update(token).digest('base64url');
const post = (
  form: Record<string, string>,
  dpop: string | undefined,
  service: TestService | undefined = web,
  app: App = t.app,
) =>
  app.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      ...(service ? { authorization: basic(service) } : {}),
      ...(dpop === undefined ? {} : { dpop }),
    },
    payload: new URLSearchParams(form).toString(),
  });

test('a token bound to a key is good only with a proof of that key, once, on whichever node', async () => {
  const answer = await post({ grant_type: 'client_credentials' }, proof('POST', '/oauth/token'));
  assert.equal(answer.statusCode, 200, answer.body);
  const { access_token: token, token_type: type } = answer.json<{ access_token: string; token_type: string }>();
  assert.equal(type, 'DPoP');
  assert.deepEqual(claimsOf(token)['cnf'], { jkt: thumbprint });
  const me = (headers: Record<string, string>, app = t.app) => app.inject({ url: '/v1/me', headers });
  const good = proof('GET', '/v1/me', { ath: ath(token) });
  assert.equal((await me({ authorization: `DPoP ${token}`, dpop: good })).statusCode, 200);
  for (const app of [t.app, second]) {
    assert.equal((await me({ authorization: `DPoP ${token}`, dpop: good }, app)).statusCode, 401, 'a replayed proof');
  }
  const bad: Record<string, string | undefined> = {
    'no proof': undefined,
    'another method': proof('POST', '/v1/me', { ath: ath(token) }),
    'another address': proof('GET', '/v1/sessions', { ath: ath(token) }),
    'another token': proof('GET', '/v1/me', { ath: ath(`${token}x`) }),
    'no ath': proof('GET', '/v1/me'),
    old: proof('GET', '/v1/me', { ath: ath(token), iat: 1 }),
    'a foreign nonce': proof('GET', '/v1/me', { ath: ath(token), nonce: 'x' }),
  };
  for (const [name, value] of Object.entries(bad)) {
    const refused = await me({ authorization: `DPoP ${token}`, ...(value === undefined ? {} : { dpop: value }) });
    assert.equal(refused.statusCode, 401, name);
  }
  const asBearer = await me({ authorization: `Bearer ${token}`, dpop: proof('GET', '/v1/me', { ath: ath(token) }) });
  assert.equal(asBearer.statusCode, 401, 'as a bearer token');
});

test('an old proof is told a nonce, and the nonce of one node is good on another', async () => {
  const old = await post({ grant_type: 'client_credentials' }, proof('POST', '/oauth/token', { iat: 1 }));
  assert.equal(old.json().error, 'use_dpop_nonce');
  const nonce = String(old.headers['dpop-nonce']);
  const again = await post(
    { grant_type: 'client_credentials' },
    proof('POST', '/oauth/token', { iat: 1, nonce }),
    web,
    second,
  );
  assert.equal(again.statusCode, 200, again.body);
});

test('code and refresh with proofs: the tokens are bound, and a proof is good once for both halves of the endpoint', async () => {
  const { verifier, challenge } = pkce();
  const target = await createBrowser(t.app).authorize(
    authorizePath({ client_id: web.clientId, code_challenge: challenge }),
    alice,
  );
  const form = {
    grant_type: 'authorization_code',
    code: target.searchParams.get('code') ?? '',
    redirect_uri: redirectUri,
    code_verifier: verifier,
  };
  const used = proof('POST', '/oauth/token');
  const answer = await post(form, used);
  assert.equal(answer.statusCode, 200, answer.body);
  const tokens = answer.json<{ access_token: string; refresh_token: string; token_type: string }>();
  assert.equal(tokens.token_type, 'DPoP');
  assert.deepEqual(claimsOf(tokens.access_token)['cnf'], { jkt: thumbprint });
  assert.equal((await post({ grant_type: 'client_credentials' }, used)).json().error, 'invalid_dpop_proof');
  const refreshed = await post(
    { grant_type: 'refresh_token', refresh_token: tokens.refresh_token },
    proof('POST', '/oauth/token'),
  );
  assert.deepEqual(claimsOf(refreshed.json().access_token)['cnf'], { jkt: thumbprint });
});

test('a device gets its tokens when its user has confirmed the code, once', async () => {
  const asked = await t.post('/oauth/device_authorization', { client_id: tv.clientId, scope: 'openid profile' });
  assert.equal(asked.statusCode, 200, asked.body);
  const device = asked.json<{ device_code: string; user_code: string; verification_uri: string }>();
  assert.equal(device.verification_uri, `${t.issuer}/oauth/device`);
  const poll = (app: App = t.app) =>
    t.post(
      '/oauth/token',
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        device_code: device.device_code,
        client_id: tv.clientId,
      },
      undefined,
      app,
    );
  assert.equal((await poll()).json().error, 'authorization_pending');
  const browser = createBrowser(t.app);
  const wrong = await browser.submit((await browser.open('/oauth/device')).page, { user_code: 'AAAA-AAAA' });
  assert.match(wrong.page.body, /role="alert"/);
  let step = await browser.submit(wrong.page, { user_code: device.user_code });
  assert.match(step.page.body, new RegExp(device.user_code));
  step = await browser.submit(step.page, {});
  step = await browser.submit(step.page, alice);
  step = await browser.submit(step.page, { decision: 'allow' });
  assert.match(step.page.body, /device is connected/);
  const answers = await Promise.all([poll(), poll(second), poll(), poll(second)]);
  const won = answers.filter((answer) => answer.statusCode === 200);
  assert.equal(won.length, 1);
  assert.equal(claimsOf(won[0]?.json().access_token)['client_id'], tv.clientId);
});

test('signing out with a hint leads to a registered address only', async () => {
  const { verifier, challenge } = pkce();
  const browser = createBrowser(t.app);
  const target = await browser.authorize(authorizePath({ client_id: web.clientId, code_challenge: challenge }), alice);
  const tokens = (
    await post(
      {
        grant_type: 'authorization_code',
        code: target.searchParams.get('code') ?? '',
        redirect_uri: redirectUri,
        code_verifier: verifier,
      },
      undefined,
    )
  ).json<{ id_token: string; access_token: string }>();
  const logout = (uri: string) =>
    browser.open(
      `/oauth/logout?${new URLSearchParams({ id_token_hint: tokens.id_token, post_logout_redirect_uri: uri, state: 's' }).toString()}`,
    );
  assert.equal((await logout('https://evil.example/')).page.statusCode, 400);
  const asked = await logout('https://app.acme.example/bye');
  const done = await browser.submit(asked.page, { logout: 'yes' });
  assert.equal(done.location, 'https://app.acme.example/bye?state=s');
  const userinfo = await t.app.inject({
    url: '/oauth/userinfo',
    headers: { authorization: `Bearer ${tokens.access_token}` },
  });
  assert.equal(userinfo.statusCode, 401, 'the access token ended with the sign-in');
});
