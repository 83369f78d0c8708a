import assert from 'node:assert/strict';
import { test } from 'node:test';
import { permissions } from '@gatehouse/contracts';
import { createAccountsFixture, testPassword } from '../../../testing/accounts-fixture.ts';

const t = await createAccountsFixture();
const admin = await t.member('acme-admin', ['admin']);

test('every organization has the built-in roles, and they cannot be changed', async () => {
  const { items } = (await t.call('GET', '/v1/roles', { token: admin.token })).body;
  assert.deepEqual(items.map((role: { name: string }) => role.name).sort(), ['admin', 'auditor', 'developer']);
  for (const method of ['PATCH', 'DELETE'] as const) {
    const payload = method === 'PATCH' ? { permissions: [] } : undefined;
    const answer = await t.call(method, '/v1/roles/admin', { token: admin.token, payload });
    assert.equal(answer.body.code, 'identity.role_built_in');
  }
  const me = (await t.call('GET', '/v1/me', { token: admin.token })).body;
  assert.deepEqual([me.operator, me.roles], [false, ['admin']]);
  assert.ok(!me.permissions.includes('organizations:write'));
});

test('a custom role is created, granted, changed and deleted; changes reach other nodes', async () => {
  const other = await t.another();
  const created = await t.call('POST', '/v1/roles', {
    token: admin.token,
    payload: { name: 'support', permissions: ['users:read', 'sessions:revoke'] },
  });
  assert.equal(created.status, 201);
  assert.deepEqual(created.body.permissions, ['sessions:revoke', 'users:read']);
  assert.equal(
    (await t.call('POST', '/v1/roles', { token: admin.token, payload: { name: 'support' } })).body.code,
    'identity.role_exists',
  );
  const supporter = await t.member('supporter', ['support']);
  assert.equal((await t.call('GET', '/v1/users', { token: supporter.token, node: other })).status, 200);
  assert.equal((await t.call('GET', '/v1/services', { token: supporter.token })).status, 403);

  await t.call('PATCH', '/v1/roles/support', { token: admin.token, payload: { permissions: ['services:read'] } });
  const until = Date.now() + 5000;
  for (const node of [t, other]) {
    while ((await t.call('GET', '/v1/users', { token: supporter.token, node })).status !== 403) {
      assert.ok(Date.now() < until, 'the change did not reach every node');
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal((await t.call('GET', '/v1/services', { token: supporter.token, node })).status, 200);
  }

  const inUse = await t.call('DELETE', '/v1/roles/support', { token: admin.token });
  assert.equal(inUse.body.code, 'identity.role_in_use');
  await t.call('PATCH', `/v1/users/${supporter.uid}`, { token: admin.token, payload: { roles: [] } });
  assert.equal((await t.call('DELETE', '/v1/roles/support', { token: admin.token })).status, 204);
  assert.equal((await t.call('GET', '/v1/roles/support', { token: admin.token })).status, 404);
});

test('a grant and the deletion of the role at once: the role is never granted and gone', async () => {
  for (let round = 0; round < 5; round += 1) {
    await t.acme('POST', '/v1/roles', { name: `fleeting-${round}` });
    const [granted, deleted] = await Promise.all([
      t.acme('POST', '/v1/users', { username: `fleeting-${round}`, roles: [`fleeting-${round}`] }),
      t.acme('DELETE', `/v1/roles/fleeting-${round}`),
    ]);
    assert.ok(
      (granted.status === 201 && deleted.status === 409) || (granted.status === 400 && deleted.status === 204),
      `${granted.status} ${deleted.status}`,
    );
  }
});

test('the same for the roles a service brings with it', async () => {
  for (let round = 0; round < 5; round += 1) {
    await t.acme('POST', '/v1/services', { name: `short-${round}`, roles: ['reader'] });
    const [granted, changed] = await Promise.all([
      t.acme('POST', '/v1/users', { username: `short-${round}`, roles: [`short-${round}:reader`] }),
      t.acme('PATCH', `/v1/services/short-${round}`, { roles: [] }),
    ]);
    assert.ok(
      (granted.status === 201 && changed.status === 409) || (granted.status === 400 && changed.status === 200),
      `${granted.status} ${changed.status}`,
    );
  }
});

test('permissions are known ones, and operators’ ones stay with gatehouse', async () => {
  const make = (payload: object) => t.acme('POST', '/v1/roles', payload);
  assert.equal((await make({ name: 'x', permissions: ['users:fly'] })).body.errors[0].field, 'permissions.0');
  for (const permission of ['organizations:write', 'keys:rotate', 'issuers:write', 'declaration:apply']) {
    assert.equal(
      (await make({ name: 'x', permissions: [permission] })).body.errors[0].field,
      'permissions.0',
      permission,
    );
  }
  assert.equal((await make({ name: 'no-service:reader' })).body.errors[0].field, 'name');
  assert.equal((await make({ name: 'Bad Name' })).status, 400);
  // Also a row that somebody wrote into the database gives no operators’ permission outside gatehouse.
  await make({ name: 'smuggled', permissions: ['users:read'] });
  await t.db.pool.query(
    `update identity.roles set permissions = '{organizations:write,users:read}' where name = 'smuggled'`,
  );
  const smuggler = await t.member('smuggler', ['smuggled']);
  const me = (await t.call('GET', '/v1/me', { token: smuggler.token })).body;
  assert.deepEqual(me.permissions, ['users:read']);
});

test('nobody grants more than they have', async () => {
  await t.acme('POST', '/v1/roles', {
    name: 'hr',
    permissions: ['users:read', 'users:write', 'roles:read', 'roles:write'],
  });
  const hr = await t.member('hr', ['hr']);
  const victim = await t.member('victim-admin', ['admin']);
  const plain = await t.member('plain', []);
  const refused: ['POST' | 'PATCH' | 'DELETE', string, object | undefined][] = [
    ['POST', '/v1/users', { username: 'puppet', password: testPassword, roles: ['admin'] }],
    ['PATCH', `/v1/users/${plain.uid}`, { roles: ['developer'] }],
    ['PATCH', `/v1/users/${hr.uid}`, { roles: ['hr', 'admin'] }],
    ['PATCH', `/v1/users/${victim.uid}`, { roles: [] }],
    ['PATCH', `/v1/users/${victim.uid}`, { username: 'renamed' }],
    ['POST', `/v1/users/${victim.uid}/password`, { password: 'nine loud geese at dawn' }],
    ['POST', `/v1/users/${victim.uid}/suspend`, undefined],
    ['POST', `/v1/users/${victim.uid}/archive`, undefined],
    ['POST', '/v1/roles', { name: 'higher', permissions: ['audit:read'] }],
    ['PATCH', '/v1/roles/hr', { permissions: permissions.filter((one) => one.startsWith('s')) }],
  ];
  for (const [method, url, payload] of refused) {
    const answer = await t.call(method, url, { token: hr.token, payload });
    assert.equal(answer.body.code, 'identity.role_too_high', `${method} ${url}`);
  }
  assert.equal((await t.signIn('victim-admin')).status, 200);
  const allowed = await t.call('PATCH', `/v1/users/${plain.uid}`, { token: hr.token, payload: { roles: ['hr'] } });
  assert.equal(allowed.status, 200);
  // An admin of gatehouse is made by operators only.
  await t.call('POST', '/v1/roles', {
    token: t.operator,
    payload: { name: 'nearly', permissions: [...permissions] },
  });
  const nearly = await t.member('nearly-operator', ['nearly'], 'gatehouse');
  const crowned = await t.call('PATCH', `/v1/users/${nearly.uid}`, {
    token: nearly.token,
    payload: { roles: ['admin'] },
  });
  assert.equal(crowned.body.code, 'identity.role_too_high');
});

test('an account that another organization administers is safe from this one', async () => {
  const guest = await t.member('guest', [], 'globex');
  await t.db.transaction((tx) =>
    t.modules.identity.users.addMember(tx, {
      organization: 'acme',
      uid: guest.uid,
      roles: ['developer'],
      granter: 'system',
      origin: { actor: { type: 'system', id: 'system' } },
    }),
  );
  assert.equal((await t.call('GET', `/v1/users/${guest.uid}`, { token: admin.token })).body.organization, 'globex');
  for (const [url, payload] of [
    [`/v1/users/${guest.uid}/suspend`, undefined],
    [`/v1/users/${guest.uid}/archive`, undefined],
    [`/v1/users/${guest.uid}/password`, { password: 'nine loud geese at dawn' }],
  ] as const) {
    assert.equal(
      (await t.call('POST', url, { token: admin.token, payload })).body.code,
      'identity.foreign_account',
      url,
    );
  }
  const roles = await t.call('PATCH', `/v1/users/${guest.uid}`, {
    token: admin.token,
    payload: { roles: ['auditor'] },
  });
  assert.deepEqual(roles.body.roles, ['auditor'], 'the roles here are ours to give');
});
