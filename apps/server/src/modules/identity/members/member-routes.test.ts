import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccountsFixture, testPassword } from '../../../testing/accounts-fixture.ts';

const t = await createAccountsFixture();
const admin = await t.member('acme-admin', ['admin']);
const developer = await t.member('acme-developer', ['developer']);
const visitor = await t.member('visitor', ['developer'], 'globex');
const asAdmin = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) =>
  t.call(method, url, { token: admin.token, payload });
const signInTo = async (organization: string) => {
  const payload = { username: 'visitor', password: testPassword, organization };
  return t.call('POST', '/v1/sessions', { payload });
};

test('a user of another organization is made a member by uid, gets other roles, and is removed', async () => {
  assert.equal((await signInTo('acme')).status, 401);
  const added = await asAdmin('POST', '/v1/members', { uid: visitor.uid, roles: ['auditor'] });
  assert.equal(added.status, 201, added.raw.body);
  assert.deepEqual(
    { ...added.body, created_at: '', created_by: '' },
    {
      uid: visitor.uid,
      username: 'visitor',
      status: 'active',
      home_organization: 'globex',
      roles: ['auditor'],
      created_at: '',
      created_by: '',
    },
  );
  assert.equal(added.body.created_by, admin.uid);
  const again = await asAdmin('POST', '/v1/members', { uid: visitor.uid });
  assert.deepEqual([again.status, again.body.code], [409, 'identity.member_exists']);

  const session = (await signInTo('acme')).body;
  assert.equal((await t.call('GET', '/v1/users', { token: session.access_token })).status, 200);
  assert.equal((await t.call('POST', '/v1/users', { token: session.access_token, payload: {} })).status, 403);

  const changed = await asAdmin('PATCH', `/v1/members/${visitor.uid}`, { roles: ['developer'] });
  assert.deepEqual(changed.body.roles, ['developer']);
  assert.equal((await t.call('GET', '/v1/audit', { token: session.access_token })).status, 403, 'at once');

  const page = await asAdmin('GET', '/v1/members?limit=2');
  const rest = await asAdmin('GET', `/v1/members?limit=2&cursor=${page.body.next_cursor}`);
  assert.deepEqual(
    [...page.body.items, ...rest.body.items].map((one: { uid: string }) => one.uid),
    [admin.uid, developer.uid, visitor.uid].sort(),
  );

  assert.equal((await asAdmin('DELETE', `/v1/members/${visitor.uid}`)).status, 204);
  assert.equal((await asAdmin('GET', `/v1/members/${visitor.uid}`)).status, 404);
  assert.equal((await t.call('GET', '/v1/me', { token: session.access_token })).status, 401, 'the session has ended');
  const refresh = await t.call('POST', '/v1/sessions/refresh', { payload: { refresh_token: session.refresh_token } });
  assert.equal(refresh.status, 401);
  assert.equal((await t.call('GET', '/v1/me', { token: visitor.token })).status, 200, 'but not those elsewhere');
  assert.deepEqual((await t.actionsOn(visitor.uid)).slice(-3), [
    'member.added',
    'user.roles_changed',
    'member.removed',
  ]);

  // A session of before does not come back with the membership.
  assert.equal((await asAdmin('POST', '/v1/members', { uid: visitor.uid, roles: ['developer'] })).status, 201);
  assert.equal((await t.call('GET', '/v1/me', { token: session.access_token })).status, 401);
  assert.equal((await asAdmin('DELETE', `/v1/members/${visitor.uid}`)).status, 204);
});

test('being made a member elsewhere does not hold up a sign-in that names no organization', async () => {
  await asAdmin('POST', '/v1/members', { uid: visitor.uid });
  const session = await t.signIn('visitor');
  assert.equal(session.status, 200);
  assert.equal((await t.call('GET', '/v1/me', { token: session.body.access_token })).body.organization, 'globex');
});

test('nobody gives or takes away more than they have', async () => {
  await t.acme('POST', '/v1/roles', { name: 'gatekeeper', permissions: ['users:read', 'users:write'] });
  const keeper = await t.member('keeper', ['gatekeeper']);
  const boss = await t.member('globex-boss', [], 'globex');
  const call = (method: 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) =>
    t.call(method, url, { token: keeper.token, payload });
  assert.equal(
    (await call('POST', '/v1/members', { uid: boss.uid, roles: ['admin'] })).body.code,
    'identity.role_too_high',
  );
  assert.equal((await asAdmin('GET', `/v1/members/${boss.uid}`)).status, 404);
  await asAdmin('POST', '/v1/members', { uid: boss.uid, roles: ['admin'] });
  assert.equal((await call('PATCH', `/v1/members/${boss.uid}`, { roles: [] })).body.code, 'identity.role_too_high');
  assert.equal((await call('DELETE', `/v1/members/${boss.uid}`)).body.code, 'identity.role_too_high');
  assert.equal((await t.call('DELETE', `/v1/members/${boss.uid}`, { token: developer.token })).status, 403);
  assert.deepEqual((await asAdmin('GET', `/v1/members/${boss.uid}`)).body.roles, ['admin']);
});

test('the organization that has an account keeps it', async () => {
  const answer = await asAdmin('DELETE', `/v1/members/${developer.uid}`);
  assert.deepEqual([answer.status, answer.body.code], [409, 'identity.home_organization']);
});

test('absent, suspended and archived accounts of others are alike, and trying uids is slowed down', async () => {
  const gone = await t.member('gone', [], 'globex');
  await t.call('POST', `/v1/users/${gone.uid}/suspend`, { token: t.operator, organization: 'globex' });
  const { request_id: _one, ...suspended } = (await asAdmin('POST', '/v1/members', { uid: gone.uid })).body;
  const { request_id: _other, ...absent } = (await asAdmin('POST', '/v1/members', { uid: 'usr_absent' })).body;
  assert.deepEqual(suspended, absent);
  const statuses: number[] = [];
  for (let count = 0; count < 8; count += 1) {
    statuses.push((await asAdmin('POST', '/v1/members', { uid: `guess-${count}` })).status);
  }
  assert.equal(statuses[0], 404);
  assert.equal(statuses.at(-1), 429);
});

test('the last operator stays, and only operators make others members of gatehouse', async () => {
  const operatorUid = (await t.call('GET', '/v1/me', { token: t.operator })).body.sub;
  const own = await t.call('DELETE', `/v1/members/${operatorUid}`, { token: t.operator });
  assert.equal(own.status, 409);
  // An operator whose account is of another organization: the home rule does not protect the last one.
  const guest = { uid: visitor.uid, roles: ['admin'] };
  assert.equal((await t.call('POST', '/v1/members', { token: t.operator, payload: guest })).status, 201);
  await t.call('POST', `/v1/users/${operatorUid}/suspend`, { token: t.operator });
  const token = (await signInTo('gatehouse')).body.access_token;
  const last = await t.call('DELETE', `/v1/members/${visitor.uid}`, { token });
  assert.deepEqual([last.status, last.body.code], [409, 'identity.last_operator']);
  await t.call('POST', `/v1/users/${operatorUid}/restore`, { token });
  assert.equal((await t.call('DELETE', `/v1/members/${visitor.uid}`, { token })).status, 204);
});
