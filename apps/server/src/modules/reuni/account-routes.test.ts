import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestApp } from '../../testing/test-app.ts';
import { createReuniFixture, reuniPassword } from './reuni-fixture.ts';

const t = await createReuniFixture();

test('from sign-up to an organization, in the original’s shapes', async () => {
  const body = { name: 'Ann', username: 'ann', password: reuniPassword, email: 'ann@example.com' };
  const made = await t.call('POST', '/signup', { body });
  assert.deepEqual([made.status, made.text, made.type], [201, '201 Created', 'text/plain; charset=utf-8']);
  const session = await t.call('POST', '/login', { body: { username: 'ann', password: reuniPassword } });
  assert.equal(session.status, 200);
  assert.deepEqual(Object.keys(session.json), ['token', 'refresh_token']);
  const { token } = session.json;
  const users = await t.call('GET', '/users', { token });
  assert.deepEqual(users.json, [
    {
      id: 1,
      name: 'Ann',
      username: 'ann',
      password: '',
      email: '',
      created_at: '0001-01-01T00:00:00Z',
      updated_at: '0001-01-01T00:00:00Z',
    },
  ]);
  const none = await t.call('GET', '/organization', { token });
  assert.deepEqual([none.status, none.text], [200, '[]']);
  const organization = await t.call('POST', '/organization', { token, body: { name: 'acme' } });
  assert.deepEqual([organization.status, organization.text], [201, '201 Created']);
  assert.deepEqual((await t.call('GET', '/organization', { token })).json, [{ id: 1, name: 'acme', role: 'Admin' }]);
  const again = await t.call('POST', '/organization', { token, body: { name: 'acme' } });
  assert.deepEqual([again.status, again.json], [409, { message: 'Already Exists', status: 409 }]);
});

test('sign-ups and sign-ins that are not right are refused in the original’s form', async () => {
  const good = { name: 'Bob', username: 'bob', password: reuniPassword, email: 'b@example.com' };
  for (const [body, message] of [
    [{ ...good, email: '' }, /^User data not valid$/],
    [{ ...good, name: undefined }, /^User data not valid$/],
    [{ ...good, password: 'short' }, /15/],
    [{ ...good, password: 7 }, /^password must be a text$/],
    [{ ...good, username: 'b\u0000b' }, /username/],
  ] as const) {
    const answer = await t.call('POST', '/signup', { body });
    assert.equal(answer.status, 400, answer.text);
    assert.equal(answer.type, 'text/plain; charset=utf-8');
    assert.match(answer.json.message, message);
    assert.equal(answer.json.status, 400);
  }
  for (const raw of ['', '{', '[]', 'null', '"x"', '{"a":1,"a":2}']) {
    for (const path of ['/signup', '/login']) assert.equal((await t.call('POST', path, { raw })).json.status, 400, raw);
  }
  await t.call('POST', '/signup', { body: good });
  const taken = await t.call('POST', '/signup', { body: good });
  assert.equal(taken.json.status, 409);
  for (const body of [{ username: 'bob', password: 'x' }, { username: 'nobody', password: 'x' }, {}]) {
    const answer = await t.call('POST', '/login', { body });
    assert.deepEqual([answer.status, answer.json], [401, { message: 'Wrong username/password', status: 401 }]);
  }
});

test('the refresh token is a bearer token, renews without rotating, and ends with the session after an hour', async () => {
  const { token, refreshToken } = await t.person('carol');
  for (const bearer of [token, refreshToken]) {
    assert.equal((await t.call('GET', '/organization', { token: bearer })).status, 200);
    const renewed = await t.call('POST', '/generateToken', { token: bearer });
    assert.deepEqual([renewed.status, Object.keys(renewed.json)], [201, ['token']]);
    assert.equal((await t.call('GET', '/organization', { token: renewed.json.token })).status, 200);
  }
  t.clock.advance(3500);
  assert.equal((await t.call('GET', '/organization', { token })).status, 401, 'an access token lives ten minutes');
  const late = (await t.call('POST', '/generateToken', { token: refreshToken })).json.token;
  t.clock.advance(101);
  for (const bearer of [late, refreshToken]) {
    const answer = await t.call('GET', '/organization', { token: bearer });
    assert.deepEqual([answer.status, answer.json.status], [401, 401]);
    assert.equal((await t.call('POST', '/generateToken', { token: bearer })).status, 401);
  }
});

test('tokens are in no log, and in the database only as a hash', async () => {
  const { token, refreshToken } = await t.person('quiet');
  await t.call('POST', '/generateToken', { token: refreshToken });
  const { rows } = await t.db.pool.query('select * from reuni.sessions');
  const seen = `${JSON.stringify(rows)}${t.logLines.join('')}`;
  for (const secret of [token, refreshToken, reuniPassword]) assert.ok(!seen.includes(secret));
  assert.ok(rows.every((row) => !Buffer.from(row.refresh_hash).includes(Buffer.from(refreshToken, 'base64url'))));
});

test('hostile text is refused, never an error of ours', async () => {
  const { token } = await t.person('hostile');
  await t.call('POST', '/organization', { token, body: { name: 'hostile' } });
  for (const name of ['%00', 'a%00b', '%0a', '%ef%bf%bf', '..%2f..', '%F0%9F%92%A9', "'--", 'x'.repeat(256)]) {
    for (const path of [`/${name}/services`, `/hostile/${name}/token`, `/hostile/${name}/validatetoken`]) {
      const answer = await t.call('GET', path, { token });
      assert.ok(
        answer.status >= 400 && answer.status < 500 && answer.json.status === answer.status,
        `${path} ${answer.text}`,
      );
    }
    const agent = await t.call('GET', `/hostile/a/${name}/1/agent`, { token });
    assert.ok(agent.status >= 400 && agent.status < 500, agent.text);
  }
  for (const text of ['\u0000', '\ud800', "'; drop table users; --", '\u202e']) {
    for (const [method, path, body] of [
      ['POST', '/signup', { name: text, username: 'somebody', password: reuniPassword, email: text }],
      ['POST', '/signup', { name: 'x', username: text, password: reuniPassword, email: 'x' }],
      ['POST', '/login', { username: text, password: text }],
      ['POST', '/organization', { name: text }],
      ['DELETE', '/hostile/services', { name: text }],
      ['POST', '/hostile/services', { name: text }],
      ['POST', '/hostile/member', { user_id: 1, role: text }],
    ] as const) {
      const answer = await t.call(method, path, { token, body });
      assert.ok(answer.status < 500, `${method} ${path} ${answer.text}`);
    }
  }
});

test('sign-ups can be closed; members of other organizations sign in all the same', async () => {
  const { token } = await t.person('gina');
  await t.call('POST', '/organization', { token, body: { name: 'gina-one' } });
  await t.call('POST', '/organization', { token, body: { name: 'gina-two' } });
  const change = async (verb: 'suspend' | 'restore') => {
    const headers = { authorization: `Bearer ${await t.operatorToken()}` };
    const answer = await t.app.inject({ method: 'POST', url: `/v1/organizations/reuni/${verb}`, headers });
    assert.equal(answer.statusCode, 200, answer.body);
  };
  await change('suspend');
  const late = { name: 'Late', username: 'late', password: reuniPassword, email: 'l@example.com' };
  const refused = await t.call('POST', '/signup', { body: late });
  assert.deepEqual([refused.status, refused.json.message], [409, 'Nobody can sign up here at the moment.']);
  assert.equal((await t.call('GET', '/organization', { token })).status, 401, 'sessions there have ended');
  const again = await t.call('POST', '/login', { body: { username: 'gina', password: reuniPassword } });
  assert.equal(again.status, 200, again.text);
  assert.equal((await t.call('GET', '/organization', { token: again.json.token })).json.length, 2);
  await change('restore');
});

test('suspending the account, or changing its password, ends the refresh token at once', async () => {
  const { refreshToken } = await t.person('dora');
  const { rows } = await t.db.pool.query<{ uid: string }>("select uid from identity.users where username = 'dora'");
  const answer = await t.app.inject({
    method: 'POST',
    url: `/v1/users/${rows[0]?.uid}/suspend`,
    headers: { authorization: `Bearer ${await t.operatorToken()}`, 'gatehouse-organization': 'reuni' },
  });
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal((await t.call('POST', '/generateToken', { token: refreshToken })).status, 401);
});

test('only tokens of this layer are taken, and they give no rights at the other API', async () => {
  const { token } = await t.person('erin');
  const operator = await t.operatorToken();
  for (const bearer of [operator, '', 'x', 'a.b.c', `${token}x`]) {
    const answer = await t.call('GET', '/organization', { token: bearer });
    assert.deepEqual([answer.status, answer.json.status], [401, 401], bearer);
  }
  for (const authorization of [token, `Basic ${token}`, `Token ${token}`]) {
    const answer = await t.app.inject({ url: '/reuni/organization', headers: { authorization } });
    assert.equal(answer.statusCode, 401);
  }
  for (const url of ['/v1/users', '/v1/services', '/v1/audit', '/v1/organizations', '/v1/members']) {
    const answer = await t.app.inject({ url, headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.statusCode, 403, url);
  }
});

test('the refresh token of this layer opens no other door', async () => {
  const { refreshToken } = await t.person('door');
  const me = await t.app.inject({ url: '/v1/me', headers: { authorization: `Bearer ${refreshToken}` } });
  assert.equal(me.statusCode, 401);
  const payload = { refresh_token: refreshToken };
  assert.equal((await t.app.inject({ method: 'POST', url: '/v1/sessions/refresh', payload })).statusCode, 401);
  assert.equal((await t.app.inject({ method: 'POST', url: '/v1/sessions/end', payload })).statusCode, 204);
  assert.equal((await t.call('GET', '/organization', { token: refreshToken })).status, 200, 'it goes on here');
});

test('an unknown path below the layer answers in its form; without the module nothing is there', async () => {
  const { token } = await t.person('finn');
  for (const path of ['/', '/x', '/a/b/c/d/e/f']) {
    assert.deepEqual((await t.call('GET', path, { token })).json, { message: 'Not Found', status: 404 }, path);
  }
  const plain = await createTestApp();
  const answer = await plain.app.inject({ method: 'POST', url: '/reuni/login', payload: {} });
  assert.equal(answer.statusCode, 404);
  const { rows } = await plain.db.pool.query("select from identity.organizations where name = 'reuni'");
  assert.equal(rows.length, 0);
});

test('two nodes make one organization for sign-ups; one that others have filled stops the start', async () => {
  await t.another();
  const plain = await createTestApp();
  const token = await plain.operatorToken();
  const call = (url: string, payload: object) =>
    plain.app.inject({
      method: 'POST',
      url,
      payload,
      headers: {
        authorization: `Bearer ${token}`,
        ...(url === '/v1/users' ? { 'gatehouse-organization': 'reuni' } : {}),
      },
    });
  assert.equal((await call('/v1/organizations', { name: 'reuni' })).statusCode, 201);
  assert.equal((await call('/v1/users', { username: 'squatter' })).statusCode, 201);
  const { createGatehouse } = await import('../../app.ts');
  const { createLog, createSystemRandom } = await import('../../kernel/index.ts');
  const node = await createGatehouse({
    settings: { ...plain.settings, modules: ['reuni'] },
    connectionString: plain.connectionString,
    clock: plain.clock,
    random: createSystemRandom(),
    log: createLog({ level: 'silent' }),
  });
  await assert.rejects(node.start(), /it exists and has members/);
  await node.stop();
});

test('whoever makes many accounts or organizations is slowed down', async () => {
  const { token } = await t.person('greedy');
  const statuses: number[] = [];
  for (let count = 0; count < 8; count += 1) {
    statuses.push((await t.call('POST', '/organization', { token, body: { name: `greedy-${count}` } })).status);
  }
  assert.deepEqual([statuses[0], statuses.at(-1)], [201, 429]);
  const body = { name: 'x', username: 'same', password: 'bad', email: 'x' };
  const signUps: number[] = [];
  for (let count = 0; count < 8; count += 1) signUps.push((await t.call('POST', '/signup', { body })).status);
  assert.deepEqual([signUps[0], signUps.at(-1)], [400, 429]);
});
