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
const second = await t.another();
const alice = { username: 'alice', password: userPassword };
await t.createUser('alice');
const web = await t.createService('web', {
  grants: ['authorization_code', 'client_credentials', 'device_code'],
  redirect_uris: [redirectUri],
  first_party: true,
});
const rsa = await t.createService('rsa', {
  grants: ['authorization_code'],
  redirect_uris: [redirectUri],
  first_party: true,
  id_token_signed_response_alg: 'RS256',
});

async function flow(client = web, app = t.app) {
  const { verifier, challenge } = pkce();
  const browser = createBrowser(app);
  const target = await browser.authorize(
    authorizePath({ client_id: client.clientId, code_challenge: challenge }),
    alice,
  );
  const code = target.searchParams.get('code') ?? '';
  const form = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier };
  const answer = await t.post('/oauth/token', form, client, app);
  assert.equal(answer.statusCode, 200, answer.body);
  return { browser, code, ...answer.json<{ access_token: string; id_token: string; refresh_token: string }>() };
}
const headerOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { alg: string; kid: string };

test('the algorithms in discovery are those of the published keys and those used', async () => {
  const discovery = (await t.app.inject({ url: '/.well-known/openid-configuration' })).json<Record<string, string[]>>();
  const other = (await t.app.inject({ url: '/.well-known/oauth-authorization-server' })).json();
  assert.deepEqual(other, discovery);
  const jwks = (await t.app.inject({ url: new URL(String(discovery['jwks_uri'])).pathname })).json<{
    keys: { alg: string; kid: string }[];
  }>();
  assert.deepEqual(
    new Set(discovery['id_token_signing_alg_values_supported']),
    new Set(jwks.keys.map((key) => key.alg)),
  );
  const used = [(await flow(web)).id_token, (await flow(rsa)).id_token, (await flow(rsa)).access_token].map(headerOf);
  assert.deepEqual(
    used.map((header) => header.alg),
    ['ES256', 'RS256', 'ES256'],
  );
  for (const { kid } of used) assert.ok(jwks.keys.some((key) => key.kid === kid));
  for (const name of [
    'authorization_endpoint',
    'token_endpoint',
    'userinfo_endpoint',
    'introspection_endpoint',
    'revocation_endpoint',
  ]) {
    assert.match(String(discovery[name]), new RegExp(`^${t.issuer}/oauth/`));
  }
  assert.ok(!(discovery['response_types_supported'] ?? []).some((type) => /token/.test(type)));
  assert.ok(!(discovery['grant_types_supported'] ?? []).some((type) => /password|implicit/.test(type)));
});

test('keys rotate while both nodes sign: nothing is refused, and the new key signs', async () => {
  const before = await flow();
  const failures: string[] = [];
  const turning = new AbortController();
  const traffic = (async () => {
    for (let index = 0; !turning.signal.aborted; index += 1) {
      const app = index % 2 ? second.app : t.app;
      const answer = await t.post('/oauth/token', { grant_type: 'client_credentials' }, web, app);
      const me = await app.inject({
        url: '/v1/me',
        headers: { authorization: `Bearer ${answer.json().access_token}` },
      });
      if (answer.statusCode !== 200 || me.statusCode !== 200) failures.push(answer.body + me.body);
    }
  })();
  const origin = { actor: { type: 'system', id: 'test' } } as const;
  for (const keyring of ['tokens-es256', 'tokens-rs256']) {
    await t.modules.keys.rotateKeyring({ organization: 'gatehouse', keyring, origin, force: true });
  }
  let after = await flow(web, second.app);
  const deadline = Date.now() + 5000;
  while (headerOf(after.id_token).kid === headerOf(before.id_token).kid) {
    assert.ok(Date.now() < deadline, 'the new key does not sign on the other node');
    after = await flow(web, second.app);
  }
  turning.abort();
  await traffic;
  assert.deepEqual(failures, []);
  const old = await t.app.inject({
    url: '/oauth/userinfo',
    headers: { authorization: `Bearer ${before.access_token}` },
  });
  assert.equal(old.statusCode, 200, 'a token of the key before is still good');
});

test('nothing in the database, the logs or the audit can be used', async () => {
  const one = await flow();
  const refreshed = await t.post(
    '/oauth/token',
    { grant_type: 'refresh_token', refresh_token: one.refresh_token },
    web,
  );
  const device = (await t.post('/oauth/device_authorization', { scope: 'openid' }, web)).json<Record<string, string>>();
  const pushed = (
    await t.post(
      '/oauth/par',
      {
        response_type: 'code',
        redirect_uri: redirectUri,
        code_challenge: pkce().challenge,
        code_challenge_method: 'S256',
      },
      web,
    )
  ).json<{ request_uri: string }>();
  const session = await t.app.inject({ method: 'POST', url: '/v1/sessions', payload: alice });
  const open = createBrowser(t.app);
  await open.open(authorizePath({ client_id: web.clientId, code_challenge: pkce().challenge }));
  const canaries: Record<string, string> = {
    code: one.code,
    'refresh token': one.refresh_token,
    successor: refreshed.json().refresh_token,
    'access token': one.access_token,
    'id token': one.id_token,
    'browser session': one.browser.cookies.get('gatehouse-session') ?? '',
    interaction: [...open.cookies].find(([name]) => /interaction-[^.]*$/.test(name))?.[1] ?? '',
    'device code': device['device_code'] ?? '',
    'user code': (device['user_code'] ?? '').replace('-', ''),
    'request uri': pushed.request_uri.split(':').at(-1) ?? '',
    'client secret': web.secret,
    'headless refresh token': session.json().refresh_token,
    password: userPassword,
  };
  const { rows } = await t.db.pool.query<{ name: string }>(
    `select table_schema || '.' || table_name as name from information_schema.tables
     where table_schema in ('identity', 'audit', 'keys', 'kernel', 'secrets') and table_type = 'BASE TABLE'`,
  );
  let dump = t.logLines.join('\n');
  for (const { name } of rows) {
    const table = await t.db.pool.query<{ row: string }>(`select t::text as row from ${name} t`);
    dump += table.rows.map((row) => row.row).join('\n');
  }
  for (const [what, value] of Object.entries(canaries)) {
    assert.ok(value.length >= 8, `${what} is missing`);
    for (const form of [value, Buffer.from(value).toString('hex'), Buffer.from(value).toString('base64')]) {
      assert.ok(!dump.includes(form), `${what} can be read`);
    }
  }
});
