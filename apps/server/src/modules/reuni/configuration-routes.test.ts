import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReuniFixture } from './reuni-fixture.ts';

const t = await createReuniFixture();
const ann = await t.person('ann');
const dev = await t.person('dev');
const aud = await t.person('aud');
const stranger = await t.person('stranger');
await t.shop(ann.token, 'acme', 'billing');
for (const [person, role] of [
  [dev, 'Developer'],
  [aud, 'Auditor'],
] as const) {
  const answer = await t.call('POST', '/acme/member', { token: ann.token, body: { user_id: person.id, role } });
  assert.deepEqual([answer.status, answer.text], [201, '201 Created']);
}
const as = (token: string) => ({
  get: (path: string) => t.call('GET', path, { token }),
  send: (method: 'POST' | 'PATCH' | 'DELETE', path: string, body: unknown) => t.call(method, path, { token, body }),
});
const agentCall = async (path: string, authorization?: string, method = 'GET') => {
  const answer = await t.app.inject({
    method: method as 'GET',
    url: `/reuni${path}`,
    headers: authorization === undefined ? {} : { authorization },
  });
  return { status: answer.statusCode, body: answer.body === '' ? undefined : answer.json() };
};
/** A request of the operator at the other API, on behalf of acme. */
const operator = async (method: 'GET' | 'POST' | 'PATCH', url: string, payload?: object) => {
  const authorization = `Bearer ${await t.operatorToken()}`;
  const headers = { authorization, 'gatehouse-organization': 'acme' };
  const answer = await t.app.inject({ method, url, headers, ...(payload ? { payload } : {}) });
  assert.ok(answer.statusCode < 300, answer.body);
  return answer.json();
};

test('services, namespaces and versions in the original’s shapes', async () => {
  const { get, send } = as(ann.token);
  const [service] = (await get('/acme/services')).json;
  assert.match(service.authorization_token, /^[A-Za-z0-9+/]{64}$/);
  assert.deepEqual(
    { ...service, created_at: '', authorization_token: '' },
    {
      name: 'billing',
      authorization_token: '',
      created_at: '',
      organization_id: 1,
      created_by: 'ann',
    },
  );
  assert.deepEqual((await get('/acme/billing/token')).json, { authorization_token: service.authorization_token });
  assert.equal((await get('/acme/billing/namespaces')).text, '[]');

  const configurations = { HOST: 'localhost', PORT: '80' };
  const made = await send('POST', '/acme/billing/namespaces', { namespace: 'default', configurations });
  assert.deepEqual([made.status, made.text], [201, '201 Created']);
  const again = await send('POST', '/acme/billing/namespaces', { namespace: 'default', configurations });
  assert.deepEqual([again.status, again.json.message], [409, 'Namespace already exist for the service']);
  const [namespace] = (await get('/acme/billing/namespaces')).json;
  assert.deepEqual(
    { ...namespace, created_at: '', updated_at: '' },
    {
      organization_id: 1,
      service_name: 'billing',
      namespace: 'default',
      version: 1,
      created_by: 'ann',
      created_at: '',
      updated_at: '',
    },
  );
  assert.deepEqual((await get('/acme/billing/default/1')).json, {
    version: 1,
    parent_version: 0,
    configuration: configurations,
    created_by: 'ann',
  });
  assert.equal((await get('/acme/billing/default/1/compare')).text, '{}');

  const publish = (body: unknown) => as(dev.token).send('POST', '/acme/billing/default', body);
  const second = await publish({ parent_version: 1, configuration: { HOST: 'db', PORT: '80', NEW: 'x' } });
  assert.deepEqual([second.status, second.text, second.type], [201, '2', 'text/plain; charset=utf-8']);
  assert.equal(
    (await publish({ parent_version: 1, configuration: { HOST: 'localhost' } })).text,
    '3',
    'an older parent',
  );
  assert.equal((await publish({ configuration: { HOST: 'cli' } })).text, '4', 'as the command line sends it');
  assert.deepEqual((await get('/acme/billing/default/versions')).json, { versions: [1, 2, 3, 4] });
  assert.deepEqual((await get('/acme/billing/default/latest')).json, { version: 4 });
  assert.deepEqual((await get('/acme/billing/default/3')).json, {
    version: 3,
    parent_version: 1,
    configuration: { HOST: 'localhost' },
    created_by: 'dev',
  });
  assert.deepEqual((await get('/acme/billing/default/2/compare')).json, {
    'dif-parent-1': [{}, { NEW: 'x' }, { HOST: "from 'localhost' to 'db'" }],
    'dif-previous-1': [{}, { NEW: 'x' }, { HOST: "from 'localhost' to 'db'" }],
  });
  assert.deepEqual((await get('/acme/billing/default/3/compare')).json, {
    'dif-parent-1': [{ PORT: '80' }, {}, {}],
    'dif-previous-2': [{ PORT: '80', NEW: 'x' }, {}, { HOST: "from 'db' to 'localhost'" }],
  });
  assert.deepEqual(Object.keys((await get('/acme/billing/default/4/compare')).json), ['dif-previous-3']);
});

test('what is not right is refused with a message, where the original failed or said nothing', async () => {
  const { get, send } = as(ann.token);
  const cases: [Promise<{ status: number; json: { message: string; status: number } }>, number, RegExp][] = [
    [send('POST', '/acme/services', { name: 'bill.ing' }), 400, /^Service name should not contain '\.'/],
    [send('POST', '/acme/services', { name: '' }), 400, /^Service name should not/],
    [send('POST', '/acme/services', { name: 'Billing' }), 400, /cannot be used here: use lower-case/],
    [send('POST', '/acme/services', { name: 'billing' }), 409, /^Service already exist$/],
    [send('DELETE', '/acme/services', {}), 400, /^Service name not defined$/],
    [send('POST', '/organization', { name: 'a b' }), 400, /^Organization name should not/],
    [send('POST', '/organization', { name: '' }), 400, /^Name cannot be empty$/],
    [send('POST', '/organization', { name: 'gatehouse' }), 409, /^Already Exists$/],
    [send('POST', '/acme/billing/namespaces', { namespace: 'a|b', configurations: {} }), 400, /^Organization name/],
    [send('POST', '/acme/billing/namespaces', { namespace: 'x' }), 400, /^Configuration cant be empty$/],
    [send('POST', '/acme/billing/namespaces', { namespace: 'x', configurations: { '': 1 } }), 400, /cant be empty/],
    [send('POST', '/acme/billing/namespaces', { namespace: 'x', configurations: [] }), 400, /must be an object/],
    [send('POST', '/acme/billing/namespaces', { namespace: 'agents', configurations: {} }), 400, /API uses itself/],
    [send('POST', '/acme/absent/namespaces', { namespace: 'x', configurations: {} }), 404, /no service/],
    [send('POST', '/acme/billing/default', { configuration: {} }), 400, /^Configuration cant be empty$/],
    [send('POST', '/acme/billing/default', {}), 400, /^Configuration cant be empty$/],
    [send('POST', '/acme/billing/default', { configuration: { A: 1 } }), 400, /configuration.A must be a text/],
    [send('POST', '/acme/billing/default', { parent_version: '1', configuration: { A: '1' } }), 400, /whole number/],
    [send('POST', '/acme/billing/default', { parent_version: 99, configuration: { A: '1' } }), 409, /version/],
    [send('POST', '/acme/billing/default', { parent_version: -1, configuration: { A: '1' } }), 400, /negative/],
    [send('POST', '/acme/billing/default', { configuration: { $x: '1' } }), 400, /begins with \$/],
    [send('POST', '/acme/billing/absent', { configuration: { A: '1' } }), 404, /no namespace/],
    [get('/acme/billing/absent/latest'), 404, /no namespace/],
    [get('/acme/billing/absent/versions'), 404, /no namespace/],
    [get('/acme/billing/default/99'), 404, /no version 99/],
    [get('/acme/billing/default/0'), 404, /no version 0/],
    [get('/acme/billing/default/99999999999999999999'), 404, /no version/],
    [get('/acme/billing/default/99/compare'), 404, /no version/],
    [get('/acme/billing/default/one'), 400, /^Cannot Parse Version$/],
    [get('/acme/billing/default/one/compare'), 400, /^Cannot Parse Version$/],
    [get('/acme/absent/token'), 404, /no service/],
    [send('POST', '/acme/member', { user_id: stranger.id, role: 'Boss' }), 400, /^Role is not valid$/],
    [send('PATCH', '/acme/member', { user_id: dev.id, role: 'admin' }), 400, /^New role is not valid$/],
    [send('POST', '/acme/member', { user_id: 4711, role: 'Auditor' }), 404, /no user/],
    [send('POST', '/acme/member', { user_id: 'x', role: 'Auditor' }), 400, /whole number/],
    [send('POST', '/acme/member', { user_id: dev.id, role: 'Auditor' }), 409, /./],
    [send('PATCH', '/acme/member', { user_id: stranger.id, role: 'Auditor' }), 404, /./],
    [t.call('POST', '/acme/billing/default', { token: ann.token, raw: '' }), 400, /empty/],
    [t.call('POST', '/acme/member', { token: ann.token, raw: '{' }), 400, /not JSON/],
  ];
  for (const [index, [asked, status, message]] of cases.entries()) {
    const answer = await asked;
    assert.equal(answer.status, status, `case ${index}: ${JSON.stringify(answer.json)}`);
    assert.equal(answer.json.status, status);
    assert.match(answer.json.message, message);
  }
  assert.equal((await get('/acme/billing/default/one')).json.error, 'Cannot Parse Version');
  assert.equal((await get('/acme/absent/namespaces')).text, '[]', 'as the original');
});

test('the table of roles, and nothing of another organization', async () => {
  const level = { none: 0, Auditor: 1, Developer: 2, Admin: 3 } as const;
  const people = { none: stranger, Auditor: aud, Developer: dev, Admin: ann } as const;
  const table: [string, string, unknown, keyof typeof level, number][] = [
    ['GET', '/acme/member', undefined, 'Auditor', 200],
    ['GET', '/acme/services', undefined, 'Auditor', 200],
    ['GET', '/acme/billing/namespaces', undefined, 'Auditor', 200],
    ['GET', '/acme/billing/token', undefined, 'Auditor', 200],
    ['GET', '/acme/billing/default/versions', undefined, 'Auditor', 200],
    ['GET', '/acme/billing/default/latest', undefined, 'Auditor', 200],
    ['GET', '/acme/billing/default/1', undefined, 'Auditor', 200],
    ['GET', '/acme/billing/default/1/compare', undefined, 'Auditor', 200],
    ['POST', '/acme/billing/namespaces', { namespace: 'default', configurations: {} }, 'Developer', 409],
    ['POST', '/acme/billing/default', { configuration: {} }, 'Developer', 400],
    ['POST', '/acme/services', { name: 'billing' }, 'Admin', 409],
    ['DELETE', '/acme/services', { name: 'absent' }, 'Admin', 200],
    ['POST', '/acme/member', { user_id: 4711, role: 'Admin' }, 'Admin', 404],
    ['PATCH', '/acme/member', { user_id: 4711, role: 'Admin' }, 'Admin', 404],
    ['DELETE', '/acme/member', { user_id: 4711 }, 'Admin', 200],
  ];
  for (const [method, path, body, needed, status] of table) {
    for (const [role, person] of Object.entries(people)) {
      const options = { token: person.token, ...(body === undefined ? {} : { body }) };
      const answer = await t.call(method as 'GET', path, options);
      if (level[role as keyof typeof level] >= level[needed]) assert.equal(answer.status, status, `${role} ${path}`);
      else assert.deepEqual(answer.json, { message: 'Forbidden', status: 403 }, `${role} ${method} ${path}`);
    }
    assert.equal((await t.call(method as 'GET', path)).status, 401, path);
    const absent = path.replace('/acme', '/absent');
    const foreign = await t.call(method as 'GET', path, { token: stranger.token, ...(body ? { body } : {}) });
    const nowhere = await t.call(method as 'GET', absent, { token: stranger.token, ...(body ? { body } : {}) });
    assert.deepEqual(
      [foreign.status, foreign.text],
      [nowhere.status, nowhere.text],
      'alike whether it is there or not',
    );
  }
});

test('members: listed with roles, changed and removed at once', async () => {
  const { get, send } = as(ann.token);
  const members = (await get('/acme/member')).json as { id: number; name: string; username: string; role: string }[];
  assert.deepEqual(
    members.map(({ id, name, username, role }) => [id, name, username, role]),
    [
      [ann.id, 'ann by name', 'ann', 'Admin'],
      [dev.id, 'dev by name', 'dev', 'Developer'],
      [aud.id, 'aud by name', 'aud', 'Auditor'],
    ],
  );
  const publish = () => as(aud.token).send('POST', '/acme/billing/default', { configuration: {} });
  assert.equal((await publish()).status, 403);
  const changed = await send('PATCH', '/acme/member', { user_id: aud.id, role: 'Developer' });
  assert.deepEqual([changed.status, changed.text], [200, '200 OK']);
  assert.equal((await publish()).status, 400);
  await send('PATCH', '/acme/member', { user_id: aud.id, role: 'Auditor' });
  await send('POST', '/acme/member', { user_id: stranger.id, role: 'Auditor' });
  assert.equal((await as(stranger.token).get('/acme/services')).status, 200);
  for (let twice = 0; twice < 2; twice += 1) {
    const removed = await send('DELETE', '/acme/member', { user_id: stranger.id });
    assert.deepEqual([removed.status, removed.text], [200, '200 OK']);
  }
  assert.equal((await as(stranger.token).get('/acme/services')).status, 403);
});

test('only who signed up here can be made a member by counting through the integers', async () => {
  const made = await operator('POST', '/v1/users', { username: 'insider', password: 'a long enough password, once' });
  const { rows } = await t.db.pool.query<{ id: number }>('insert into reuni.users (uid) values ($1) returning id', [
    made.uid,
  ]);
  await t.call('POST', '/organization', { token: stranger.token, body: { name: 'nosy' } });
  const body = { user_id: rows[0]?.id, role: 'Admin' };
  assert.equal((await t.call('POST', '/nosy/member', { token: stranger.token, body })).status, 404);
  const users = (await t.call('GET', '/users', { token: stranger.token })).text;
  assert.ok(!users.includes('insider') && !users.includes('root-operator'), users);
  assert.ok((await t.call('GET', '/users', { token: ann.token })).text.includes('insider'), 'a fellow member');
});

test('agents: the raw token of the service, any method, and one refusal for everything else', async () => {
  const { authorization_token: token } = (await as(ann.token).get('/acme/billing/token')).json;
  await as(ann.token).send('POST', '/acme/services', { name: 'other' });
  const { authorization_token: other } = (await as(ann.token).get('/acme/other/token')).json;
  assert.deepEqual(await agentCall('/acme/billing/default/agent', token), { status: 200, body: { version: 4 } });
  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH']) {
    assert.deepEqual(await agentCall('/acme/billing/default/4/agent', token, method), {
      status: 200,
      body: { version: 4, parent_version: 0, configuration: { HOST: 'cli' }, created_by: 'dev' },
    });
  }
  const refused = { status: 403, body: { message: 'Forbidden', status: 403 } };
  for (const [path, authorization] of [
    ['/acme/billing/default/agent', undefined],
    ['/acme/billing/default/agent', 'x'],
    ['/acme/billing/default/agent', `Bearer ${token}`],
    ['/acme/billing/default/agent', other],
    ['/acme/billing/default/agent', ann.token],
    ['/acme/billing/default/4/agent', other],
    ['/acme/absent/default/agent', token],
    ['/absent/billing/default/agent', token],
    ['/nosy/billing/default/agent', token],
  ] as const) {
    assert.deepEqual(await agentCall(path, authorization), refused, path);
  }
  assert.equal((await agentCall('/acme/billing/absent/agent', token)).status, 404);
  assert.equal((await agentCall('/acme/billing/default/99/agent', token)).status, 404);
  assert.equal((await agentCall('/acme/billing/default/x/agent', token)).status, 400);

  assert.deepEqual(await agentCall('/acme/billing/validatetoken', token), { status: 200, body: { valid: true } });
  for (const wrong of [undefined, 'x', other]) {
    assert.deepEqual((await agentCall('/acme/billing/validatetoken', wrong)).body, { valid: false });
  }
  assert.equal((await agentCall('/acme/absent/validatetoken', token)).status, 404);

  await operator('POST', '/v1/services/billing/suspend');
  assert.deepEqual(await agentCall('/acme/billing/default/agent', token), refused);
  assert.deepEqual((await agentCall('/acme/billing/validatetoken', token)).body, { valid: false });
  await operator('POST', '/v1/services/billing/restore');
});

test('secrets: masked in every read, kept by an edit, and refused to agents of this layer', async () => {
  const canary = 'canary-of-a-secret';
  await operator('POST', '/v1/services/namespaces', {
    service: 'billing',
    namespace: 'sealed',
    configuration: { HOST: 'db', PORT: 5432, PASS: { $secret: canary } },
  });
  const { get, send } = as(dev.token);
  const { configuration } = (await get('/acme/billing/sealed/1')).json;
  assert.match(configuration.PASS, /^\{"\$secret":\{"fingerprint":"[A-Za-z0-9_-]{16}"\}\}$/);
  assert.equal(configuration.PORT, '5432');
  const edited = await send('POST', '/acme/billing/sealed', { configuration: { ...configuration, HOST: 'db2' } });
  assert.deepEqual([edited.status, edited.text], [201, '2']);
  const kept = await operator('GET', '/v1/services/billing/sealed/2');
  assert.equal(kept.configuration.PORT, 5432, 'what was not edited keeps its type');
  assert.deepEqual(kept.configuration.PASS, JSON.parse(configuration.PASS));
  const answers = [
    await get('/acme/billing/sealed/2'),
    await get('/acme/billing/sealed/2/compare'),
    await get('/acme/billing/namespaces'),
  ];
  for (const { text } of answers) assert.ok(!text.includes(canary));
  const { authorization_token: token } = (await get('/acme/billing/token')).json;
  const refused = await agentCall('/acme/billing/sealed/2/agent', token);
  assert.equal(refused.status, 403);
  assert.match(refused.body.message, /enrolled agent/);
  // Written out as a text the secret is gone: a new version without it is served.
  await send('POST', '/acme/billing/sealed', { configuration: { HOST: 'db3' } });
  assert.equal((await agentCall('/acme/billing/sealed/3/agent', token)).status, 200);
  assert.equal((await agentCall('/acme/billing/sealed/1/agent', token)).status, 403);
});

test('a token that lets agents enrol is not shown here', async () => {
  await operator('POST', '/v1/services', { name: 'careful' });
  const made = await operator('POST', '/v1/services/careful/tokens', { name: 'enrols', may_enrol: true });
  const services = (await as(aud.token).get('/acme/services')).json as { name: string; authorization_token: string }[];
  assert.equal(services.find(({ name }) => name === 'careful')?.authorization_token, '');
  assert.equal((await as(aud.token).get('/acme/careful/token')).status, 404);
  assert.ok(!JSON.stringify(services).includes(made.authorization_token ?? 'no token in the answer'));
});

test('everything is in the audit under who did it', async () => {
  const { rows } = await t.db.pool.query<{ action: string; actor: string }>(
    `select e.action, coalesce(u.username, e.actor_id) as actor from audit.entries e
      left join identity.users u on u.uid = e.actor_id where e.organization in ('acme', 'reuni')`,
  );
  const seen = new Set(rows.map(({ action, actor }) => `${action} ${actor}`));
  for (const expected of [
    'user.created anonymous',
    'session.created ann',
    'organization.created ann',
    'member.added ann',
    'member.removed ann',
    'user.roles_changed ann',
    'service.created ann',
    'service.token_created ann',
    'service.token_shown aud',
    'namespace.created ann',
    'configuration.published dev',
  ]) {
    assert.ok(seen.has(expected), expected);
  }
});

test('deleting a service takes its namespaces along', async () => {
  const answer = await as(ann.token).send('DELETE', '/acme/services', { name: 'billing' });
  assert.deepEqual([answer.status, answer.text], [200, '200 OK']);
  assert.equal((await as(ann.token).get('/acme/billing/default/latest')).status, 404);
});
