import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccountsFixture } from '../../../testing/accounts-fixture.ts';

const t = await createAccountsFixture();
const dana = await t.member('dana', ['developer']);
const adam = await t.member('adam', ['admin']);
const as = (token: string) => (method: 'POST' | 'PATCH', url: string, payload: object) =>
  t.call(method, url, { token, payload });
const code = { grants: ['authorization_code'], redirect_uris: ['https://app.acme.example/callback'] };

test('only those with all rights of an administrator make or steer a service that acts for people unasked', async () => {
  const unasked = { ...code, name: 'lure', first_party: true };
  const refused = await as(dana.token)('POST', '/v1/services', unasked);
  assert.equal(refused.status, 403, refused.raw.body);
  assert.equal(refused.body.code, 'identity.role_too_high');

  assert.equal((await as(dana.token)('POST', '/v1/services', { ...code, name: 'asking' })).status, 201);
  assert.equal((await as(dana.token)('PATCH', '/v1/services/asking', { first_party: true })).status, 403);

  assert.equal((await as(adam.token)('POST', '/v1/services', { ...unasked, name: 'portal' })).status, 201);
  const redirect = { redirect_uris: ['https://attacker.example/callback'] };
  assert.equal((await as(dana.token)('PATCH', '/v1/services/portal', redirect)).status, 403, 'codes would go there');
  assert.equal((await as(dana.token)('POST', '/v1/services/portal/secrets', {})).status, 403);
  assert.equal((await as(adam.token)('PATCH', '/v1/services/portal', { first_party: false })).status, 200);
  assert.equal((await as(dana.token)('PATCH', '/v1/services/portal', redirect)).status, 200);
});

test('the audit tells what a service was and what it became, also when the values are long', async () => {
  const before = 'https://records.acme.example/pop';
  const after = 'https://attacker.example/pop';
  const made = { name: 'records', pop_url: before, roles: ['reader'] };
  assert.equal((await as(dana.token)('POST', '/v1/services', made)).status, 201);
  const long = Array.from({ length: 20 }, (_, index) => `https://app.acme.example/${'x'.repeat(1900)}${index}`);
  const change = { pop_url: after, audience: 'records', redirect_uris: long, roles: ['reader', 'writer'] };
  assert.equal((await as(dana.token)('PATCH', '/v1/services/records', change)).status, 200);
  const { rows } = await t.db.pool.query<{
    details: { changed: string[]; before: Record<string, string>; after: Record<string, string> };
  }>(`select details from audit.entries where action = 'service.updated' and target_id = 'acme.records'`);
  const [{ details } = assert.fail('no entry')] = rows;
  assert.deepEqual(details.changed, ['audience', 'popUrl', 'redirectUris', 'roles']);
  assert.equal(details.before['popUrl'], before);
  assert.equal(details.after['popUrl'], after);
  assert.equal(details.before['audience'], 'acme.records');
  assert.equal(details.after['roles'], '["reader","writer"]');
  assert.match(details.after['redirectUris'] ?? '', /^sha256:[0-9a-f]{64}$/);
});

test('a role inside another service is given to a service’s account only by those who give roles', async () => {
  assert.equal((await as(adam.token)('POST', '/v1/services', { name: 'billing', roles: ['admin'] })).status, 201);
  const own = { name: 'mine', grants: ['client_credentials'], account_roles: ['billing:admin'] };
  const refused = await as(dana.token)('POST', '/v1/services', own);
  assert.equal(refused.status, 403, 'billing would obey a token with this role');
  assert.equal(refused.body.code, 'identity.role_too_high');
  assert.equal((await as(dana.token)('POST', '/v1/services', { ...own, account_roles: ['developer'] })).status, 201);
  const more = { account_roles: ['developer', 'billing:admin'] };
  assert.equal((await as(dana.token)('PATCH', '/v1/services/mine', more)).status, 403);
  assert.equal((await as(adam.token)('PATCH', '/v1/services/mine', more)).status, 200);
  const kept = await as(dana.token)('PATCH', '/v1/services/mine', { ...more, audience: 'mine' });
  assert.equal(kept.status, 200, 'what the account has already is not given');
});
