import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Declaration, DeclarationApplied, DeclarationPlan, JsonObject } from '@gatehouse/contracts';
import { createTestApp, type TestApp } from '../../testing/test-app.ts';

let server: TestApp;
let token: string;
before(async () => {
  server = await createTestApp();
  token = await server.operatorToken();
});

const secret = 'k3Yq-0fSx8vW2mZr7tLp5nBd9cHg4jQa6eUi1oXs';
const alicePassword = 'plum cobweb harvest lantern 71';

/** A declaration for an organization of its own, so that the tests of this file share one server. */
function declarationOf(organization: string, issuer = false): Declaration {
  return {
    organizations: {
      [organization]: {
        services: {
          records: {
            audience: `${organization}-records`,
            pop_url: 'http://127.0.0.1:9000/pop',
            client_secret: secret,
            grants: ['client_credentials', 'token_exchange'],
            roles: ['reader', 'writer'],
            account_roles: ['support'],
          },
          web: { grants: ['authorization_code'], redirect_uris: ['https://web.example/callback'] },
        },
        roles: { support: { permissions: ['users:read', 'sessions:revoke'] } },
        users: {
          [`alice-${organization}`]: { password: alicePassword, roles: ['developer', 'records:reader'] },
          [`bob-${organization}`]: { uid: `bob.${organization}` },
        },
      },
    },
    ...(issuer
      ? {
          trusted_issuers: {
            partner: {
              issuer: 'https://idp.partner.example',
              jwks_uri: 'https://idp.partner.example/jwks',
              algorithms: ['RS256'],
            },
          },
        }
      : {}),
  };
}

/** The members of answers that these tests look at. */
interface Problem {
  code?: string;
  detail?: string;
  errors?: { field: string; rule: string; fix?: string }[];
}
interface Item {
  username: string;
  uid: string;
  status: string;
  roles: string[];
  client_id: string;
  audience: string;
  grants: string[];
  account_roles: string[];
}

async function send(path: 'plan' | 'apply', declaration: unknown, more: JsonObject = {}, bearer = token) {
  const answer = await server.app.inject({
    method: 'POST',
    url: `/v1/declaration/${path}`,
    headers: { authorization: `Bearer ${bearer}` },
    payload: { declaration, ...more } as JsonObject,
  });
  return { status: answer.statusCode, body: answer.json<Problem>(), text: answer.body };
}

async function apply(declaration: Declaration, more: JsonObject = {}): Promise<DeclarationApplied> {
  const { status, body, text } = await send('apply', declaration, more);
  assert.equal(status, 200, text);
  return body as unknown as DeclarationApplied;
}

async function get(path: string, organization: string): Promise<{ items: Item[] }> {
  const answer = await server.app.inject({
    url: path,
    headers: { authorization: `Bearer ${token}`, 'gatehouse-organization': organization },
  });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json<{ items: Item[] }>();
}

const signIn = (username: string, password: string) =>
  server.app.inject({ method: 'POST', url: '/v1/sessions', payload: { username, password } });

/** `action kind name` of every step that does something. */
const lines = ({ steps }: DeclarationPlan) =>
  steps.filter(({ action }) => action !== 'unchanged').map(({ action, kind, name }) => `${action} ${kind} ${name}`);

async function auditActions(organization: string): Promise<string[]> {
  const { rows } = await server.db.pool.query<{ action: string }>(
    'select action from audit.entries where organization = $1 order by id',
    [organization],
  );
  return rows.map(({ action }) => action);
}

test('a plan shows what would be done, does nothing, and shows no secret', async () => {
  const { status, body, text } = await send('plan', declarationOf('plan-only', true));
  assert.equal(status, 200, text);
  assert.deepEqual(lines(body as unknown as DeclarationPlan), [
    'create trusted_issuer partner',
    'create organization plan-only',
    'create service plan-only.records',
    'create role records:reader',
    'create role records:writer',
    'create service plan-only.web',
    'create role support',
    'create user alice-plan-only',
    'create user bob-plan-only',
  ]);
  assert.ok(!text.includes(secret) && !text.includes(alicePassword));
  assert.deepEqual(await auditActions('plan-only'), []);
  const found = await server.app.inject({
    url: '/v1/organizations/plan-only',
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(found.statusCode, 404);
});

test('applied, everything is there and works; each change is in the audit; generated secrets are shown once', async () => {
  const applied = await apply(declarationOf('acme', true));
  assert.deepEqual(applied.summary, { create: 9, update: 0, delete: 0, unchanged: 0 });
  assert.deepEqual(
    applied.client_secrets.map(({ client_id }) => client_id),
    ['acme.web'],
  );
  const { items: services } = await get('/v1/services', 'acme');
  assert.deepEqual(
    services.map(({ client_id, audience, grants, roles, account_roles }) => ({
      client_id,
      audience,
      grants,
      roles,
      account_roles,
    })),
    [
      {
        client_id: 'acme.records',
        audience: 'acme-records',
        grants: ['client_credentials', 'token_exchange'],
        roles: ['reader', 'writer'],
        account_roles: ['support'],
      },
      { client_id: 'acme.web', audience: 'acme.web', grants: ['authorization_code'], roles: [], account_roles: [] },
    ],
  );
  const { items: users } = await get('/v1/users', 'acme');
  assert.deepEqual(
    users.map(({ username, roles }) => ({ username, roles })),
    [
      { username: 'alice-acme', roles: ['developer', 'records:reader'] },
      { username: 'bob-acme', roles: [] },
    ],
  );
  assert.equal(users[1]?.uid, 'bob.acme');
  assert.ok([200, 201].includes((await signIn('alice-acme', alicePassword)).statusCode));
  const issuer = await server.app.inject({
    url: '/v1/issuers/partner',
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(issuer.statusCode, 200);
  const clientToken = await server.app.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: {
      authorization: `Basic ${Buffer.from(`acme.records:${secret}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    payload: 'grant_type=client_credentials',
  });
  assert.equal(clientToken.statusCode, 200, clientToken.body);
  const actions = await auditActions('acme');
  for (const action of ['organization.created', 'service.created', 'role.created', 'user.created']) {
    assert.ok(actions.includes(action), `${action} in ${actions.join()}`);
  }
  assert.ok((await auditActions('gatehouse')).includes('declaration.applied'));
});

test('applied twice, it is a no-op, also for secrets and passwords', async () => {
  await apply(declarationOf('twice'));
  const before = await auditActions('twice');
  const again = await apply(declarationOf('twice'));
  assert.deepEqual(again.summary, { create: 0, update: 0, delete: 0, unchanged: 8 });
  assert.deepEqual(again.client_secrets, []);
  assert.deepEqual(await auditActions('twice'), before);
});

test('a changed field, role and secret are changed; a password is not', async () => {
  await apply(declarationOf('changed'));
  const declaration = declarationOf('changed');
  const organization = declaration.organizations?.['changed'];
  assert.ok(organization?.services?.['records'] && organization.users && organization.roles);
  organization.services['records'] = {
    ...organization.services['records'],
    client_secret: secret.split('').toReversed().join(''),
    grants: ['client_credentials'],
    roles: ['reader', 'writer', 'auditor'],
  };
  organization.roles['support'] = { permissions: ['users:read'] };
  organization.users['alice-changed'] = { password: 'another password entirely 99', roles: ['auditor'] };
  const applied = await apply(declaration);
  assert.deepEqual(lines(applied), [
    'update service changed.records',
    'create role records:auditor',
    'update role support',
    'update user alice-changed',
  ]);
  assert.deepEqual(applied.steps.find(({ kind, action }) => kind === 'service' && action === 'update')?.changes, [
    { field: 'grants', from: ['client_credentials', 'token_exchange'], to: ['client_credentials'] },
    { field: 'client_secret' },
  ]);
  assert.equal((await signIn('alice-changed', 'another password entirely 99')).statusCode, 401);
  assert.ok([200, 201].includes((await signIn('alice-changed', alicePassword)).statusCode));
  const withSecret = (value: string) =>
    server.app.inject({
      method: 'POST',
      url: '/oauth/token',
      headers: {
        authorization: `Basic ${Buffer.from(`changed.records:${value}`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      payload: 'grant_type=client_credentials',
    });
  assert.equal((await withSecret(secret)).statusCode, 401, 'the old secret has ended');
  assert.equal((await withSecret(secret.split('').toReversed().join(''))).statusCode, 200);
  assert.equal((await apply(declaration)).summary.update, 0);
});

test('without prune nothing is deleted; with it, what the sections do not name', async () => {
  await apply(declarationOf('pruned'));
  const short: Declaration = {
    organizations: { pruned: { services: { records: { roles: ['reader'] } }, roles: {}, users: { 'bob-pruned': {} } } },
  };
  assert.deepEqual(lines(await apply(short)), []);
  const refused = await send('apply', short, { prune: true });
  assert.equal(refused.status, 409, 'the account of records holds the role support');
  assert.match(refused.body.detail ?? '', /^organizations\.pruned\.roles\.support: 1 account/);

  const freed: Declaration = {
    organizations: {
      pruned: {
        services: { records: { roles: ['reader'], account_roles: [] } },
        roles: {},
        users: { 'bob-pruned': {} },
      },
    },
  };
  assert.deepEqual(lines(await apply(freed, { prune: true })), [
    'update service pruned.records',
    'delete user alice-pruned',
    'delete role records:writer',
    'delete role support',
    'delete service pruned.web',
  ]);
  assert.equal((await signIn('alice-pruned', alicePassword)).statusCode, 401);
  const { items } = await get('/v1/users', 'pruned');
  assert.deepEqual(
    items.map(({ username, status }) => `${username} ${status}`),
    ['alice-pruned archived', 'bob-pruned active'],
  );
  assert.deepEqual(lines(await apply(freed, { prune: true })), []);
});

test('prune never touches the operators, and an organization that is not named', async () => {
  await apply(declarationOf('untouched'));
  const applied = await apply(
    { organizations: { gatehouse: { users: {}, services: {}, roles: {} } } },
    { prune: true },
  );
  assert.deepEqual(lines(applied), []);
  assert.equal((await get('/v1/users', 'untouched')).items.length, 2);
});

test('a step that fails at the end leaves nothing of the others', async () => {
  const declaration = declarationOf('broken');
  const users = declaration.organizations?.['broken']?.users;
  assert.ok(users);
  users['zoe-broken'] = { roles: ['records:reader', 'no-such-role'] };
  for (const path of ['plan', 'apply'] as const) {
    const { status, body } = await send(path, declaration);
    assert.equal(status, 400);
    assert.deepEqual(body.errors, [
      {
        field: 'organizations.broken.users.zoe-broken.roles.1',
        rule: 'names no role of the organization broken',
        fix: 'create the role first, or correct its spelling',
      },
    ]);
  }
  assert.deepEqual(await auditActions('broken'), []);
  const { rows } = await server.db.pool.query(`select 1 from identity.organizations where name = 'broken'`);
  assert.equal(rows.length, 0);
});

test('a password that the policy refuses is refused by the plan already, with its place', async () => {
  for (const path of ['plan', 'apply'] as const) {
    const { status, body, text } = await send(path, {
      organizations: { weak: { users: { ann: { password: 'password123' } } } },
    });
    assert.equal(status, 400);
    assert.equal(body.errors?.[0]?.field, 'organizations.weak.users.ann.password');
    assert.ok(!text.includes('password123'));
  }
  const { body, text } = await send('plan', { organizations: { weak: { users: { ann: { password: 7_654_321 } } } } });
  assert.deepEqual(body.errors, [
    { field: 'organizations.weak.users.ann.password', rule: 'must be text', fix: 'put it in quotes' },
  ]);
  assert.ok(!text.includes('7654321'));
});

test('unknown keys are refused with their path and what was probably meant', async () => {
  const { status, body } = await send('plan', {
    organizations: { acme: { services: { records: { pop_ur1: 'https://x.example', client_secret_file: './x' } } } },
  });
  assert.equal(status, 400);
  assert.equal(body.code, 'kernel.invalid_request');
  assert.deepEqual(body.errors, [
    { field: 'organizations.acme.services.records.pop_ur1', rule: 'is not known', fix: 'did you mean pop_url?' },
    {
      field: 'organizations.acme.services.records.client_secret_file',
      rule: 'is not known',
      fix: 'the API takes values, not paths: send client_secret',
    },
  ]);
  const { body: outside } = await send('plan', {}, { prun: true });
  assert.deepEqual(outside.errors, [{ field: 'prun', rule: 'is not known', fix: 'did you mean prune?' }]);
});

test('an uid that is another than that of the account, and two spellings of one name, are refused', async () => {
  await apply(declarationOf('spelled'));
  const uid = await send('plan', { organizations: { spelled: { users: { 'bob-spelled': { uid: 'other' } } } } });
  assert.equal(uid.status, 400);
  assert.match(uid.body.detail ?? '', /bob-spelled\.uid is not the uid of the account/);
  const twice = await send('plan', { organizations: { spelled: { users: { 'bob-spelled': {}, 'BOB-spelled': {} } } } });
  assert.match(twice.body.detail ?? '', /BOB-spelled is the same account as bob-spelled/);
});

test('an account of another organization becomes a member, and prune takes its roles there, not the account', async () => {
  await apply(declarationOf('home'));
  await apply({ organizations: { guest: { users: { 'alice-home': { roles: ['auditor'] } } } } });
  assert.deepEqual((await get('/v1/users', 'guest')).items[0]?.roles, ['auditor']);
  await apply({ organizations: { guest: { users: {} } } }, { prune: true });
  assert.deepEqual((await get('/v1/users', 'guest')).items[0]?.roles, []);
  assert.deepEqual((await get('/v1/users', 'home')).items[0]?.status, 'active');
});

test('a declaration never restores a suspended account, and says so', async () => {
  await apply(declarationOf('idle'));
  const suspended = await server.app.inject({
    method: 'POST',
    url: '/v1/users/bob.idle/suspend',
    headers: { authorization: `Bearer ${token}`, 'gatehouse-organization': 'idle' },
  });
  assert.equal(suspended.statusCode, 200, suspended.body);
  const applied = await apply(declarationOf('idle'));
  assert.match(applied.warnings[0] ?? '', /bob-idle in idle is declared and suspended/);
  const bob = (await get('/v1/users', 'idle')).items.find(({ username }) => username === 'bob-idle');
  assert.equal(bob?.status, 'deactivated');
});

test('only operators apply a declaration', async () => {
  await apply({ organizations: { small: { users: { 'ann-small': { password: alicePassword, roles: ['admin'] } } } } });
  const ann = (await signIn('ann-small', alicePassword)).json<{ access_token: string }>();
  const { status, body } = await send('plan', {}, {}, ann.access_token);
  assert.equal(status, 403);
  assert.match(body.detail ?? '', /declaration:apply/);
  const anonymous = await server.app.inject({ method: 'POST', url: '/v1/declaration/apply', payload: {} });
  assert.equal(anonymous.statusCode, 401);
});

test('applied by two at once, one creates and the other finds it done', async () => {
  const results = await Promise.all(Array.from({ length: 4 }, () => apply(declarationOf('raced'))));
  assert.deepEqual(
    results.map(({ summary }) => summary.create).sort((a, b) => a - b),
    [0, 0, 0, 8],
  );
  assert.equal(results.flatMap(({ client_secrets }) => client_secrets).length, 1);
});

test('no secret of a declaration is in the log or the audit', async () => {
  const { rows } = await server.db.pool.query<{ text: string }>('select entries::text as text from audit.entries');
  const everything = [...server.logLines, ...rows.map(({ text }) => text)].join('\n');
  assert.ok(everything.length > 1000);
  assert.ok(!everything.includes(secret) && !everything.includes(alicePassword));
});
