import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operatorPermissions, type Permission } from '@gatehouse/contracts';
import { createAccountsFixture, testPassword } from '../../testing/accounts-fixture.ts';

/**
 * Every operation on accounts × (no token, a token that is none, a suspended user, a member without roles, another
 * tenant's administrator): refused. The table is complete: a route that is not in it fails the test.
 */
const t = await createAccountsFixture();
const nobody = await t.member('nobody', []);
const acmeAdmin = await t.member('acme-admin', ['admin']);
const globexAdmin = await t.member('globex-admin', ['admin'], 'globex');
const victim = await t.member('victim', ['developer']);
const suspended = await t.member('was-here', ['admin']);
await t.acme('POST', `/v1/users/${suspended.uid}/suspend`);
await t.acme('POST', '/v1/roles', { name: 'custom', permissions: ['users:read'] });
const service = (await t.acme('POST', '/v1/services', { name: 'records', roles: ['reader'] })).body;

interface Row {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  route: string;
  url?: string;
  payload?: object;
  auth: Permission | 'self';
  /** It names an object of acme: for another tenant it is not there. */
  object?: true;
}

const user = `/v1/users/${victim.uid}`;
const table: Row[] = [
  { method: 'GET', route: '/v1/organizations', auth: 'organizations:read' },
  { method: 'POST', route: '/v1/organizations', payload: { name: 'evil' }, auth: 'organizations:write' },
  {
    method: 'GET',
    route: '/v1/organizations/{organization}',
    url: '/v1/organizations/acme',
    auth: 'organizations:read',
    object: true,
  },
  {
    method: 'POST',
    route: '/v1/organizations/{organization}/suspend',
    url: '/v1/organizations/acme/suspend',
    auth: 'organizations:write',
  },
  {
    method: 'POST',
    route: '/v1/organizations/{organization}/restore',
    url: '/v1/organizations/acme/restore',
    auth: 'organizations:write',
  },
  { method: 'GET', route: '/v1/users', auth: 'users:read' },
  { method: 'POST', route: '/v1/users', payload: { username: 'evil', password: testPassword }, auth: 'users:write' },
  { method: 'GET', route: '/v1/users/{uid}', url: user, auth: 'users:read', object: true },
  {
    method: 'PATCH',
    route: '/v1/users/{uid}',
    url: user,
    payload: { username: 'evil' },
    auth: 'users:write',
    object: true,
  },
  { method: 'POST', route: '/v1/users/{uid}/suspend', url: `${user}/suspend`, auth: 'users:write', object: true },
  { method: 'POST', route: '/v1/users/{uid}/archive', url: `${user}/archive`, auth: 'users:write', object: true },
  { method: 'POST', route: '/v1/users/{uid}/restore', url: `${user}/restore`, auth: 'users:write', object: true },
  {
    method: 'POST',
    route: '/v1/users/{uid}/password',
    url: `${user}/password`,
    payload: { password: testPassword },
    auth: 'users:write',
    object: true,
  },
  { method: 'GET', route: '/v1/members', auth: 'users:read' },
  { method: 'POST', route: '/v1/members', payload: { uid: 'nobody-here' }, auth: 'users:write' },
  { method: 'GET', route: '/v1/members/{uid}', url: `/v1/members/${victim.uid}`, auth: 'users:read', object: true },
  {
    method: 'PATCH',
    route: '/v1/members/{uid}',
    url: `/v1/members/${victim.uid}`,
    payload: { roles: [] },
    auth: 'users:write',
    object: true,
  },
  {
    method: 'DELETE',
    route: '/v1/members/{uid}',
    url: `/v1/members/${victim.uid}`,
    auth: 'users:write',
    object: true,
  },
  { method: 'GET', route: '/v1/me', auth: 'self' },
  { method: 'PUT', route: '/v1/me/password', payload: { current_password: 'x', new_password: 'y' }, auth: 'self' },
  { method: 'GET', route: '/v1/roles', auth: 'roles:read' },
  { method: 'POST', route: '/v1/roles', payload: { name: 'evil' }, auth: 'roles:write' },
  { method: 'GET', route: '/v1/roles/{role}', url: '/v1/roles/custom', auth: 'roles:read', object: true },
  {
    method: 'PATCH',
    route: '/v1/roles/{role}',
    url: '/v1/roles/custom',
    payload: { permissions: [] },
    auth: 'roles:write',
    object: true,
  },
  { method: 'DELETE', route: '/v1/roles/{role}', url: '/v1/roles/custom', auth: 'roles:write', object: true },
  { method: 'GET', route: '/v1/services', auth: 'services:read' },
  { method: 'POST', route: '/v1/services', payload: { name: 'evil' }, auth: 'services:write' },
  { method: 'GET', route: '/v1/services/{service}', url: '/v1/services/records', auth: 'services:read', object: true },
  {
    method: 'PATCH',
    route: '/v1/services/{service}',
    url: '/v1/services/records',
    payload: { grants: [] },
    auth: 'services:write',
    object: true,
  },
  {
    method: 'DELETE',
    route: '/v1/services/{service}',
    url: '/v1/services/records',
    auth: 'services:write',
    object: true,
  },
  {
    method: 'POST',
    route: '/v1/services/{service}/suspend',
    url: '/v1/services/records/suspend',
    auth: 'services:write',
    object: true,
  },
  {
    method: 'POST',
    route: '/v1/services/{service}/restore',
    url: '/v1/services/records/restore',
    auth: 'services:write',
    object: true,
  },
  {
    method: 'POST',
    route: '/v1/services/{service}/secrets',
    url: '/v1/services/records/secrets',
    payload: {},
    auth: 'services:write',
    object: true,
  },
  {
    method: 'DELETE',
    route: '/v1/services/{service}/secrets/{secret}',
    url: `/v1/services/records/secrets/${service.secrets[0].id}`,
    auth: 'services:write',
    object: true,
  },
];

const send = (row: Row, token?: string, organization?: string) =>
  t.call(row.method, row.url ?? row.route, { token, organization, payload: row.payload });
const state = async () =>
  JSON.stringify(
    await Promise.all(
      ['organizations', 'users', 'memberships', 'password_credentials', 'roles', 'services', 'service_secrets'].map(
        async (name) => (await t.db.pool.query(`select * from identity.${name} order by 1, 2`)).rows,
      ),
    ),
  );

test('the table names every operation of these resources, with the permission it declares', async () => {
  const { paths } = (await t.call('GET', '/docs/json')).body as {
    paths: Record<string, Record<string, { 'x-permission'?: string }>>;
  };
  const declared = Object.entries(paths)
    .filter(([path]) => /^\/v1\/(organizations|users|members|me|roles|services)(\/|$)/.test(path))
    // Below a service also stands its configuration, which is another module's.
    .filter(
      ([path]) =>
        !/^\/v1\/services\/./.test(path) || /^\/v1\/services\/{service}(\/(suspend|restore|secrets)\b|$)/.test(path),
    )
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, it]) => `${method.toUpperCase()} ${path} ${it['x-permission'] ?? 'self'}`),
    );
  assert.deepEqual(
    table.map((row) => `${row.method} ${row.route} ${row.auth}`).sort((a, b) => a.localeCompare(b)),
    declared.sort((a, b) => a.localeCompare(b)),
  );
});

for (const row of table) {
  test(`${row.method} ${row.route} is refused to whoever may not`, async () => {
    const before = await state();
    for (const token of [
      undefined,
      'x',
      `${acmeAdmin.token}x`,
      `${acmeAdmin.token.split('.').slice(0, 2).join('.')}.`,
      suspended.token,
    ]) {
      const answer = await send(row, token);
      assert.equal(answer.status, 401, answer.raw.body);
      assert.match(String(answer.raw.headers['www-authenticate']), /^Bearer/);
    }
    if (row.auth !== 'self') {
      const answer = await send(row, nobody.token);
      assert.equal(answer.status, 403, answer.raw.body);
      assert.equal(answer.body.code, 'kernel.forbidden');
      if (operatorPermissions.has(row.auth)) assert.equal((await send(row, acmeAdmin.token)).status, 403);
    }
    if (row.object) {
      const answer = await send(row, globexAdmin.token);
      assert.equal(answer.status, 404, answer.raw.body);
      const absent = {
        ...row,
        url: row.url?.replace(victim.uid, 'usr_absent').replace(/acme|custom|records/, 'absent') ?? '',
      };
      const { request_id: _one, ...foreign } = answer.body;
      const { request_id: _other, ...missing } = (await send(absent, globexAdmin.token)).body;
      assert.deepEqual(foreign, missing, 'another tenant’s object is answered as one that is not there');
    }
    const chosen = await send(row, globexAdmin.token, 'acme');
    assert.equal(chosen.status, 403, 'only operators act on another organization');
    assert.equal(await state(), before, 'nothing has changed');
  });
}

test('lists show a tenant nothing of another', async () => {
  for (const url of ['/v1/users', '/v1/roles', '/v1/services', '/v1/organizations']) {
    const { raw } = await t.call('GET', `${url}?limit=200`, { token: globexAdmin.token });
    assert.equal(raw.statusCode, 200);
    assert.ok(!/acme|victim|records|custom/.test(raw.body), `${url} ${raw.body}`);
  }
});

test('operators see every organization and act on the one they name', async () => {
  const { items } = (await t.call('GET', '/v1/organizations', { token: t.operator })).body;
  assert.deepEqual(
    items.map((one: { name: string }) => one.name),
    ['acme', 'gatehouse', 'globex'],
  );
  const mine = (await t.call('GET', '/v1/organizations', { token: acmeAdmin.token })).body.items;
  assert.deepEqual(
    mine.map((one: { name: string }) => one.name),
    ['acme'],
  );
  assert.equal((await t.call('GET', user, { token: t.operator })).status, 404, 'not in gatehouse');
  assert.equal((await t.call('GET', user, { token: t.operator, organization: 'acme' })).status, 200);
  assert.equal((await t.call('GET', user, { token: t.operator, organization: 'absent' })).status, 404);
  assert.equal(
    (await t.call('POST', '/v1/organizations', { token: t.operator, payload: { name: 'acme' } })).body.code,
    'identity.organization_exists',
  );
  const gatehouse = await t.call('POST', '/v1/organizations/gatehouse/suspend', { token: t.operator });
  assert.equal(gatehouse.status, 409);
});

test('a suspended organization lets nobody in, and its tokens are refused, until it is restored', async () => {
  await t.call('POST', '/v1/organizations', { token: t.operator, payload: { name: 'brief' } });
  const member = await t.member('brief-member', ['admin'], 'brief');
  assert.equal((await t.call('GET', '/v1/users', { token: member.token })).status, 200);
  await t.call('POST', '/v1/organizations/brief/suspend', { token: t.operator });
  assert.equal((await t.call('GET', '/v1/users', { token: member.token })).status, 401);
  assert.equal((await t.signIn('brief-member')).status, 401);
  await t.call('POST', '/v1/organizations/brief/restore', { token: t.operator });
  assert.equal((await t.signIn('brief-member')).status, 200);
});
