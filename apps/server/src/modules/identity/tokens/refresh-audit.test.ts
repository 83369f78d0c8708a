import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimsOf, createOauthFixture, userPassword } from '../../../testing/oauth-fixture.ts';

const t = await createOauthFixture();

test('the entry of a refresh names the access token it gave, so that the token can be traced', async () => {
  await t.createUser('alice');
  const payload = { username: 'alice', password: userPassword };
  const session = await t.app.inject({ method: 'POST', url: '/v1/sessions', payload });
  const { refresh_token } = session.json<{ refresh_token: string }>();
  const again = await t.app.inject({ method: 'POST', url: '/v1/sessions/refresh', payload: { refresh_token } });
  const { jti } = claimsOf(again.json<{ access_token: string }>().access_token);
  assert.equal((await t.audit('session.refreshed')).at(-1)?.details['token_id'], jti);
});
