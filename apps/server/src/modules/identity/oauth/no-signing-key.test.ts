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
await t.createUser('alice');
const web = await t.createService('web', {
  grants: ['authorization_code', 'client_credentials'],
  redirect_uris: [redirectUri],
  first_party: true,
});

async function codeForm() {
  const { verifier, challenge } = pkce();
  const target = await createBrowser(t.app).authorize(
    authorizePath({ client_id: web.clientId, code_challenge: challenge }),
    { username: 'alice', password: userPassword },
  );
  const code = target.searchParams.get('code') ?? '';
  return { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier };
}

test('a key whose time has ended signs nothing, in no grant, before any pass of the rotation has noticed', async () => {
  const before = await t.post('/oauth/token', await codeForm(), web);
  assert.equal(before.statusCode, 200, before.body);
  // The validity of the key in use and of its published successor: both are over, and nothing has rotated yet.
  const { rows } = await t.db.pool.query<{ until: Date }>(
    `select max(not_before) + make_interval(secs => max(k.validity_seconds)) as until
      from keys.keys join keys.keyrings k on k.name = keyring where k.purpose = 'tokens'`,
  );
  const form = await codeForm();
  t.clock.advance((rows[0]?.until.getTime() ?? 0) / 1000 - t.clock.now().getTime() / 1000 + 1);
  const code = await t.post('/oauth/token', form, web);
  assert.equal(code.statusCode, 503, code.body);
  assert.equal(code.json<{ error: string }>().error, 'temporarily_unavailable');
  assert.equal(code.headers['retry-after'], '5');
  const own = await t.post('/oauth/token', { grant_type: 'client_credentials' }, web);
  assert.equal(own.statusCode, 503, own.body);
  const page = await t.app.inject({ url: authorizePath({ client_id: web.clientId, code_challenge: 'x'.repeat(43) }) });
  assert.equal(page.statusCode, 503);
  const jwks = await t.app.inject({ url: '/.well-known/jwks.json' });
  assert.equal(jwks.statusCode, 200, 'public keys are served on');

  await t.modules.keys.rotateDue();
  const after = await t.post('/oauth/token', await codeForm(), web);
  assert.equal(after.statusCode, 200, 'with a new key it goes on, without a restart');
});
