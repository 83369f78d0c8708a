import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccountsFixture, testPassword } from '../../../testing/accounts-fixture.ts';

const t = await createAccountsFixture();
const admin = await t.member('acme-admin', ['admin']);

test('a user is created, read, listed, renamed', async () => {
  const made = await t.acme('POST', '/v1/users', { username: 'Zoë', roles: ['developer', 'auditor'] });
  assert.equal(made.status, 201);
  assert.match(made.body.uid, /^usr_/);
  assert.deepEqual(made.body.roles, ['auditor', 'developer']);
  assert.equal(made.body.status, 'active');
  assert.equal(made.body.last_login, null);
  const operator = (await t.call('GET', '/v1/me', { token: t.operator })).body;
  assert.equal(made.body.created_by, operator.sub);
  assert.deepEqual((await t.acme('GET', `/v1/users/${made.body.uid}`)).body, made.body);
  const renamed = await t.acme('PATCH', `/v1/users/${made.body.uid}`, { username: 'zoë.new' });
  assert.equal(renamed.body.username, 'zoë.new');
  assert.deepEqual((await t.acme('GET', '/v1/users?username=ZOË.')).body.items, [renamed.body]);
  assert.deepEqual((await t.acme('GET', '/v1/users?username=%00')).body.items, []);
  assert.deepEqual(await t.actionsOn(made.body.uid), ['user.created', 'user.renamed']);
});

test('names are unique in any spelling, uids for ever', async () => {
  await t.acme('POST', '/v1/users', { username: 'Ünique', uid: 'crm:4711' });
  for (const username of ['ünique', 'U\u0308NIQUE', 'ｕ̈nique']) {
    const clash = await t.acme('POST', '/v1/users', { username });
    assert.equal(clash.body.code, 'identity.username_taken', username);
  }
  await t.acme('POST', '/v1/users/crm:4711/archive');
  assert.equal(
    (await t.acme('POST', '/v1/users', { username: 'other', uid: 'crm:4711' })).body.code,
    'identity.uid_taken',
  );
  const elsewhere = { token: t.operator, organization: 'globex', payload: { username: 'other', uid: 'crm:4711' } };
  assert.equal((await t.call('POST', '/v1/users', elsewhere)).body.code, 'identity.uid_taken');
  const parallel = await Promise.all(
    Array.from({ length: 10 }, (_, index) => t.acme('POST', '/v1/users', { username: 'raced', uid: `race-${index}` })),
  );
  assert.deepEqual(
    parallel.map((answer) => answer.status).sort((a, b) => a - b),
    [201, ...Array.from({ length: 9 }, () => 409)],
  );
});

test('a uid cannot be a client id, nor a client id a uid', async () => {
  await t.acme('POST', '/v1/services', { name: 'taken' });
  assert.equal(
    (await t.acme('POST', '/v1/users', { username: 'x1', uid: 'acme.taken' })).body.code,
    'identity.uid_taken',
  );
  assert.equal((await t.acme('POST', '/v1/users', { username: 'x2', uid: 'acme.later' })).status, 201);
  assert.equal((await t.acme('POST', '/v1/services', { name: 'later' })).body.code, 'identity.service_exists');
  assert.equal((await t.acme('DELETE', '/v1/services/taken')).status, 204);
  assert.equal(
    (await t.acme('POST', '/v1/users', { username: 'x1', uid: 'acme.taken' })).body.code,
    'identity.uid_taken',
  );
  assert.equal(
    (await t.acme('POST', '/v1/services', { name: 'taken' })).status,
    201,
    'the service has its own name back',
  );
});

test('bad names, uids, roles and passwords are refused with field, rule and fix', async () => {
  const cases: [object, string][] = [
    [{}, 'username'],
    [{ username: '' }, 'username'],
    [{ username: ' padded ' }, 'username'],
    [{ username: 'two  spaces' }, 'username'],
    [{ username: 'bell\u0007' }, 'username'],
    [{ username: 'zero\u200bwidth' }, 'username'],
    [{ username: 'right\u202eleft' }, 'username'],
    [{ username: 'x'.repeat(129) }, 'username'],
    [{ username: 'ok', uid: 'has space' }, 'uid'],
    [{ username: 'ok', uid: 'gatehouse' }, 'uid'],
    [{ username: 'ok', uid: '../../etc' }, 'uid'],
    [{ username: 'ok', roles: ['developer', 'nope'] }, 'roles.1'],
    [{ username: 'ok', roles: ['UPPER'] }, 'roles.0'],
    [{ username: 'ok', password: 'short' }, 'password'],
    [{ username: 'ok', password: 'passwordpassword' }, 'password'],
    [{ username: 'some.body', password: 'some.body acme 2026' }, 'password'],
    [{ username: 'ok', password_hash: 'plain' }, 'password_hash'],
    [{ username: 'ok', password_hash: 'x', password: testPassword }, 'password_hash'],
    [{ username: 'ok', admin: true }, 'admin'],
  ];
  for (const [payload, field] of cases) {
    const answer = await t.acme('POST', '/v1/users', payload);
    assert.equal(answer.status, 400, JSON.stringify(payload));
    assert.equal(answer.body.errors[0].field, field, JSON.stringify(payload));
    assert.ok(answer.body.errors[0].rule);
  }
  assert.equal((await t.acme('GET', '/v1/users?username=ok')).body.items.length, 0);
});

test('a list comes in pages, each user once, filtered by status', async () => {
  for (let index = 0; index < 7; index += 1)
    await t.acme('POST', '/v1/users', { username: `page-${index}`, uid: `page-${index}` });
  await t.acme('POST', '/v1/users/page-3/suspend');
  const seen: string[] = [];
  let cursor = '';
  do {
    const page = (await t.acme('GET', `/v1/users?username=page-&limit=3${cursor}`)).body;
    seen.push(...page.items.map((user: { uid: string }) => user.uid));
    cursor = page.next_cursor === undefined ? '' : `&cursor=${page.next_cursor}`;
  } while (cursor !== '');
  assert.deepEqual(seen, ['page-0', 'page-1', 'page-2', 'page-3', 'page-4', 'page-5', 'page-6']);
  const suspended = (await t.acme('GET', '/v1/users?username=page-&status=deactivated')).body.items;
  assert.deepEqual(
    suspended.map((user: { uid: string }) => user.uid),
    ['page-3'],
  );
  assert.equal((await t.acme('GET', '/v1/users?cursor=xx')).body.code, 'kernel.invalid_cursor');
  assert.equal((await t.acme('GET', '/v1/users?limit=0')).status, 400);
});

test('suspending ends every session on every node at once; restoring lets in again', async () => {
  const other = await t.another();
  const user = await t.member('to-suspend', ['developer']);
  assert.equal((await t.call('GET', '/v1/me', { token: user.token, node: other })).status, 200);
  const suspended = await t.call('POST', `/v1/users/${user.uid}/suspend`, { token: admin.token });
  assert.equal(suspended.body.status, 'deactivated');
  for (const node of [t, other]) {
    assert.equal((await t.call('GET', '/v1/me', { token: user.token, node })).status, 401);
    const refreshed = await t.call('POST', '/v1/sessions/refresh', {
      payload: { refresh_token: user.refreshToken },
      node,
    });
    assert.equal(refreshed.status, 401, refreshed.raw.body);
  }
  assert.equal((await t.signIn('to-suspend')).status, 401);
  assert.equal(
    (await t.call('POST', `/v1/users/${user.uid}/suspend`, { token: admin.token })).status,
    200,
    'twice is once',
  );
  await t.call('POST', `/v1/users/${user.uid}/archive`, { token: admin.token });
  assert.equal(
    (await t.call('POST', `/v1/users/${user.uid}/suspend`, { token: admin.token })).body.code,
    'identity.not_active',
  );
  await t.call('POST', `/v1/users/${user.uid}/restore`, { token: admin.token });
  assert.equal((await t.call('GET', '/v1/me', { token: user.token })).status, 401, 'what ended stays ended');
  assert.equal((await t.signIn('to-suspend')).status, 200);
  const actions = (await t.actionsOn(user.uid)).filter((action) => action.startsWith('user.'));
  assert.deepEqual(actions, ['user.created', 'user.suspended', 'user.archived', 'user.restored']);
});

test('changing my password asks for the present one and ends my other sessions', async () => {
  const user = await t.member('changer', []);
  const elsewhere = (await t.signIn('changer')).body;
  const change = (current: string, next: string) =>
    t.call('PUT', '/v1/me/password', { token: user.token, payload: { current_password: current, new_password: next } });
  assert.equal(
    (await change('not the present one', 'nine loud geese at dawn')).body.code,
    'identity.invalid_credentials',
  );
  const weak = await change(testPassword, 'changerchangerchanger');
  assert.equal(weak.body.code, 'identity.password_refused');
  assert.equal(weak.body.errors[0].field, 'new_password');
  assert.equal((await t.call('GET', '/v1/me', { token: elsewhere.access_token })).status, 200);
  assert.equal((await change(testPassword, 'nine loud geese at dawn')).status, 204);
  assert.equal(
    (await t.call('GET', '/v1/me', { token: user.token })).status,
    200,
    'the session that changed it lives on',
  );
  assert.equal((await t.call('GET', '/v1/me', { token: elsewhere.access_token })).status, 401);
  const refresh = { payload: { refresh_token: elsewhere.refresh_token } };
  assert.equal((await t.call('POST', '/v1/sessions/refresh', refresh)).status, 401);
  assert.equal((await t.signIn('changer')).status, 401);
  assert.equal((await t.signIn('changer', 'nine loud geese at dawn')).status, 200);
});

test('a session that lives can change its password while strangers guess', async () => {
  const user = await t.member('besieged', []);
  for (let round = 0; round < 8; round += 1) await t.signIn('besieged', 'wrong');
  assert.equal((await t.signIn('besieged')).status, 429);
  assert.equal((await t.call('GET', '/v1/me', { token: user.token })).status, 200);
  const payload = { current_password: testPassword, new_password: 'nine loud geese at dawn' };
  assert.equal((await t.call('PUT', '/v1/me/password', { token: user.token, payload })).status, 204);
});

test('a password set by an administrator ends every session', async () => {
  const user = await t.member('forgetful', []);
  const set = (password: string) =>
    t.call('POST', `/v1/users/${user.uid}/password`, { token: admin.token, payload: { password } });
  assert.equal((await set('forgetful of acme')).body.code, 'identity.password_refused');
  assert.equal((await set('nine loud geese at dawn')).status, 204);
  assert.equal((await t.call('GET', '/v1/me', { token: user.token })).status, 401);
  assert.equal((await t.signIn('forgetful', 'nine loud geese at dawn')).status, 200);
});

test('the last active operator has to stay, also when two go at once', async () => {
  const me = (await t.call('GET', '/v1/me', { token: t.operator })).body;
  assert.equal(me.operator, true);
  const self = `/v1/users/${me.sub}`;
  for (const [method, url, payload] of [
    ['POST', `${self}/suspend`, undefined],
    ['POST', `${self}/archive`, undefined],
    ['PATCH', self, { roles: ['auditor'] }],
  ] as const) {
    const answer = await t.call(method, url, { token: t.operator, payload });
    assert.equal(answer.body.code, 'identity.last_operator', url);
  }
  const second = await t.member('second-operator', ['admin'], 'gatehouse');
  const both = await Promise.all([
    t.call('PATCH', self, { token: second.token, payload: { roles: [] } }),
    t.call('POST', `/v1/users/${second.uid}/suspend`, { token: t.operator }),
  ]);
  assert.deepEqual(
    both.map((answer) => answer.status).sort((a, b) => a - b),
    [200, 409],
    JSON.stringify(both.map((answer) => answer.body)),
  );
  // Whoever is left puts things back for the tests after this one.
  const left = both[0]?.status === 200 ? second.token : t.operator;
  const operatorUid = me.sub;
  await t.call('PATCH', `/v1/users/${operatorUid}`, { token: left, payload: { roles: ['admin'] } });
});

test('canaries: no password reaches a log, an answer or the audit', async () => {
  const canary = 'canary walrus umbrella 5501';
  const made = await t.acme('POST', '/v1/users', { username: 'canary', password: canary });
  const answers = [
    made,
    await t.signIn('canary', canary),
    await t.signIn('canary', `${canary}!`),
    await t.acme('POST', '/v1/users', { username: 'canary', password: canary }),
    await t.acme('POST', '/v1/users', { username: canary.repeat(20), password: canary }),
    await t.acme('POST', `/v1/users/${made.body.uid}/password`, { password: canary, extra: canary }),
    await t.acme('POST', `/v1/users/${made.body.uid}/password`, { password: canary.repeat(40) }),
  ];
  for (const answer of answers) assert.ok(!answer.raw.body.includes('walrus'), answer.raw.body);
  assert.ok(!t.logLines.join('').includes('walrus'));
  const { rows } = await t.db.pool.query('select * from audit.entries');
  assert.ok(!JSON.stringify(rows).includes('walrus'));
});
