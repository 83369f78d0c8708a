import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccountsFixture } from '../../../testing/accounts-fixture.ts';

const t = await createAccountsFixture();

test('one organization cannot take the client ids of another as uids of its users', async () => {
  const gus = await t.member('gus', ['admin'], 'globex');
  const create = (username: string, uid: string) =>
    t.call('POST', '/v1/users', { token: gus.token, payload: { username, uid } });
  const refused = await create('squatter', 'acme.payments');
  assert.equal(refused.status, 409, refused.raw.body);
  assert.equal(refused.body.code, 'identity.uid_taken');
  assert.equal((await t.acme('POST', '/v1/services', { name: 'payments' })).status, 201);
  assert.equal((await create('john', 'john.smith')).status, 201, 'no organization is called john');
});
