/** Who may see and do what with policies, rollouts and instances, and what bad input is told. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { createFleetFixture, type Fleet, type FleetFixture, type TestAgent } from './fleet-fixture.ts';

let t: FleetFixture;
let fleet: Fleet;
let agent: TestAgent;
before(async () => {
  t = await createFleetFixture();
  fleet = await t.fleet('billing', ['web-1', 'web-2', 'web-3']);
  [agent] = fleet.agents as [TestAgent];
});

const defaults = {
  max_unavailable: 1,
  canary_percent: 0,
  bake_seconds: 0,
  lease_seconds: 120,
  automatic_rollback: true,
};
const policyPath = '/v1/services/billing/rollout-policy';

test('a policy has defaults, is replaced as a whole, and its change is audited', async () => {
  assert.deepEqual((await t.admin('GET', policyPath)).body, defaults);
  const set = await t.admin('PUT', policyPath, { max_unavailable: 2, canary_percent: 10 });
  assert.deepEqual(set.body, { ...defaults, max_unavailable: 2, canary_percent: 10 });
  assert.deepEqual((await t.admin('PUT', policyPath, { bake_seconds: 60 })).body, { ...defaults, bake_seconds: 60 });
  assert.deepEqual((await t.admin('PUT', policyPath, {})).body, defaults);
  const { rows } = await t.db.pool.query<{ details: object }>(
    `select details from audit.entries where action = 'rollout_policy.updated' order by position`,
  );
  assert.equal(rows.length, 3);
  assert.deepEqual(rows[0]?.details, {
    before: defaults,
    after: { ...defaults, max_unavailable: 2, canary_percent: 10 },
  });
});

test('a policy that cannot be is refused with the field and the rule', async () => {
  const cases: [object, RegExp][] = [
    [{ max_unavailable: 0 }, /max_unavailable/],
    [{ max_unavailable: 1.5 }, /max_unavailable/],
    [{ max_unavailable: '1' }, /max_unavailable/],
    [{ canary_percent: 101 }, /canary_percent/],
    [{ canary_percent: -1 }, /canary_percent/],
    [{ bake_seconds: 86_401 }, /bake_seconds/],
    [{ lease_seconds: 4 }, /lease_seconds/],
    [{ lease_seconds: 3601 }, /lease_seconds/],
    [{ automatic_rollback: 'yes' }, /automatic_rollback/],
    [{ maxUnavailable: 1 }, /maxUnavailable/],
  ];
  for (const [body, field] of cases) {
    const answer = await t.admin('PUT', policyPath, body);
    assert.equal(answer.status, 400, JSON.stringify(body));
    assert.match(JSON.stringify(answer.body.errors), field);
  }
  assert.deepEqual((await t.admin('GET', policyPath)).body, defaults);
});

test('an auditor sees all and changes nothing; who has no role sees nothing', async () => {
  const version = await fleet.publish('seen');
  const auditor = (await t.member('audrey', ['auditor'])).token;
  const nobody = (await t.member('nobody', [])).token;
  const paths = [
    policyPath,
    '/v1/services/billing/instances',
    `${fleet.base}/rollouts`,
    `${fleet.base}/rollouts/${version}`,
  ];
  for (const path of paths) {
    assert.equal((await t.call('GET', path, { token: auditor })).status, 200, path);
    assert.equal((await t.call('GET', path, { token: nobody })).status, 403, path);
    assert.equal((await t.call('GET', path)).status, 401, path);
  }
  const changes = [
    ['PUT', policyPath],
    ['POST', `${fleet.base}/rollouts/${version}/stop`],
    ['POST', `${fleet.base}/rollouts/${version}/resume`],
  ] as const;
  for (const [method, path] of changes) {
    const payload = path.endsWith('resume') ? undefined : {};
    for (const token of [auditor, nobody]) assert.equal((await t.call(method, path, { token, payload })).status, 403);
    assert.equal((await t.call(method, path, { payload })).status, 401);
  }
  const developer = (await t.member('dev', ['developer'])).token;
  const stopped = await t.call('POST', `${fleet.base}/rollouts/${version}/stop`, { token: developer, payload: {} });
  assert.equal(stopped.status, 200, stopped.raw.body);
});

test('for another organization none of it is there', async () => {
  const foreign = (await t.member('gloria', ['admin'], 'globex')).token;
  const tries = [
    ['GET', policyPath],
    ['PUT', policyPath],
    ['GET', '/v1/services/billing/instances'],
    ['GET', `${fleet.base}/rollouts`],
    ['GET', `${fleet.base}/rollouts/1`],
    ['POST', `${fleet.base}/rollouts/1/stop`],
    ['POST', `${fleet.base}/rollouts/1/resume`],
  ] as const;
  for (const [method, path] of tries) {
    const payload = method === 'GET' || path.endsWith('resume') ? undefined : {};
    const answer = await t.call(method, path, { token: foreign, payload });
    assert.equal(answer.status, 404, `${method} ${path}`);
    const absent = await t.call(method, path.replace('billing', 'absent'), { token: foreign, payload });
    assert.deepEqual([absent.status, absent.body.detail], [404, answer.body.detail], 'as if it were not there');
  }
});

test('an agent speaks for itself, in its own service, and is no person', async () => {
  const other = await t.fleet('reports', ['other']);
  const [stranger] = other.agents as [TestAgent];
  const report = { version: 1, state: 'healthy' };
  for (const [path, body] of [
    ['instance', report],
    ['slot', { version: 1 }],
  ] as const) {
    const foreign = await stranger.call('POST', `${fleet.base}/${path}`, body);
    assert.equal(foreign.status, 404, 'another service');
    const absent = await stranger.call('POST', `${fleet.base.replace('default', 'absent')}/${path}`, body);
    assert.equal(absent.body.detail, foreign.body.detail);
    assert.equal((await agent.call('POST', `/v1/services/billing/absent/${path}`, body)).status, 404);
    assert.equal((await t.admin('POST', `${fleet.base}/${path}`, body)).status, 401, 'a person');
    assert.equal((await t.call('POST', `${fleet.base}/${path}`, { payload: body })).status, 401);
  }
  // No member names whom a report is about: it is about whoever sends it.
  for (const member of ['agent_id', 'name']) {
    const answer = await stranger.call('POST', `${other.base}/instance`, { ...report, [member]: agent.id });
    assert.equal(answer.status, 400);
  }
  const people = ['/v1/services/billing/instances', policyPath, `${fleet.base}/rollouts`];
  for (const path of people) assert.equal((await agent.call('GET', path)).status, 401, path);
});

test('a revoked agent is refused at once', async () => {
  const leaver = await fleet.join('leaver');
  await leaver.report(1, 'healthy');
  assert.equal((await t.admin('DELETE', `/v1/services/billing/agents/${leaver.id}`)).status, 204);
  const report = await leaver.call('POST', `${fleet.base}/instance`, { version: 1, state: 'healthy' });
  assert.equal(report.status, 401);
  assert.equal((await leaver.call('POST', `${fleet.base}/slot`, { version: 1 })).status, 401);
  const [shown] = (await fleet.instances()).filter((item) => item.name === 'leaver');
  assert.equal(shown.in_fleet, false);
});

test('reports and slots that cannot be are refused, and say why', async () => {
  const cases: [string, object, number, RegExp][] = [
    ['instance', { version: 1, state: 'happy' }, 400, /state/],
    ['instance', { version: 0, state: 'healthy' }, 400, /version/],
    ['instance', { version: 1, state: 'unhealthy' }, 400, /reason/],
    ['instance', { version: 1, state: 'rejected' }, 400, /reason/],
    ['instance', { version: 1, state: 'unhealthy', reason: 'x'.repeat(501) }, 400, /reason/],
    ['instance', { version: 99, state: 'healthy' }, 404, /There is no version 99; the newest is \d+/],
    ['slot', { version: 99 }, 404, /There is no version 99/],
    ['slot', { version: 1, wait: 61 }, 400, /wait/],
    ['slot', {}, 400, /version/],
  ];
  for (const [path, body, status, says] of cases) {
    const answer = await agent.call('POST', `${fleet.base}/${path}`, body);
    assert.equal(answer.status, status, JSON.stringify(body));
    assert.match(answer.raw.body, says);
  }
  await agent.report(1, 'unhealthy', ' \u0000\u001b[31mred\r\nSet-Cookie: x\u2028');
  const [shown] = (await fleet.instances()).filter((item) => item.agent_id === agent.id);
  assert.equal(shown.reason, '[31mred Set-Cookie: x', 'a reason is one line without control characters');
  await agent.report(1, 'healthy');
});

test('lists come in pages and by namespace and state; a rollout that is not there is 404', async () => {
  const seen: string[] = [];
  let cursor = '';
  do {
    const page = await t.admin('GET', `/v1/services/billing/instances?limit=2${cursor}`);
    seen.push(...page.body.items.map((item: { agent_id: string }) => item.agent_id));
    cursor = page.body.next_cursor === undefined ? '' : `&cursor=${page.body.next_cursor}`;
  } while (cursor !== '');
  const all = await t.admin('GET', '/v1/services/billing/instances?limit=200');
  assert.deepEqual(
    seen,
    all.body.items.map((item: { agent_id: string }) => item.agent_id),
  );
  assert.equal(new Set(seen).size, seen.length);
  const healthy = await t.admin('GET', '/v1/services/billing/instances?namespace=default&state=healthy');
  assert.ok(healthy.body.items.every((item: { state: string }) => item.state === 'healthy'));
  assert.ok(healthy.body.items.length >= 3);
  assert.equal((await t.admin('GET', '/v1/services/billing/instances?namespace=absent')).status, 404);
  assert.equal((await t.admin('GET', '/v1/services/billing/instances?state=happy')).status, 400);
  assert.equal((await t.admin('GET', '/v1/services/absent/instances')).status, 404);

  const rollouts = await t.admin('GET', `${fleet.base}/rollouts?limit=1`);
  assert.equal(rollouts.body.items.length, 1);
  const next = await t.admin('GET', `${fleet.base}/rollouts?limit=1&cursor=${rollouts.body.next_cursor}`);
  assert.equal(next.body.items[0].version, rollouts.body.items[0].version - 1);
  for (const path of ['99', '99/stop', '99/resume']) {
    const [method, payload] = path === '99' ? (['GET', undefined] as const) : (['POST', undefined] as const);
    const body = path.endsWith('stop') ? {} : payload;
    assert.equal((await t.admin(method, `${fleet.base}/rollouts/${path}`, body)).status, 404, path);
  }
  assert.equal((await t.admin('GET', `${fleet.base}/rollouts/first`)).status, 400);
});

test('a namespace without a version has nothing to report on', async () => {
  const made = await t.admin('POST', '/v1/services/namespaces', { service: 'billing', namespace: 'empty' });
  assert.equal(made.status, 201, made.raw.body);
  const path = '/v1/services/billing/empty';
  assert.deepEqual((await t.admin('GET', `${path}/rollouts`)).body, { items: [] });
  assert.equal((await agent.call('POST', `${path}/instance`, { version: 1, state: 'healthy' })).status, 404);
  assert.equal((await agent.call('POST', `${path}/slot`, { version: 1 })).status, 404);
});
