import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccountsFixture } from '../../../testing/accounts-fixture.ts';
import { maxWebhooks } from './webhook-service.ts';

const t = await createAccountsFixture();
const admin = await t.member('acme-admin', ['admin']);
const developer = await t.member('developer', ['developer']);
const auditor = await t.member('auditor', ['auditor']);
const globexAdmin = await t.member('globex-admin', ['admin'], 'globex');
const operatorsAuditor = await t.member('gatehouse-auditor', ['auditor'], 'gatehouse');
await t.call('POST', '/v1/roles', {
  token: t.operator,
  payload: { name: 'hooks', permissions: ['webhooks:read', 'webhooks:write'] },
});
const nearlyOperator = await t.member('nearly-operator', ['hooks'], 'gatehouse');

const as = (token: string) => (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) =>
  t.call(method, url, { token, payload });
const acme = as(admin.token);
const made = (await acme('POST', '/v1/webhooks', { url: 'https://hooks.acme.example/a', events: ['user.*'] })).body;
const delivery = (await acme('POST', `/v1/webhooks/${made.id}/test`)).body.delivery_id;

const operations = [
  ['GET', '/v1/webhooks/events', 'read'],
  ['GET', '/v1/webhooks', 'read'],
  ['POST', '/v1/webhooks', 'write', { url: 'https://evil.example/', events: ['*'] }],
  ['GET', `/v1/webhooks/${made.id}`, 'read'],
  ['PATCH', `/v1/webhooks/${made.id}`, 'write', { enabled: false }],
  ['POST', `/v1/webhooks/${made.id}/rotate`, 'write', {}],
  ['POST', `/v1/webhooks/${made.id}/test`, 'write'],
  ['GET', `/v1/webhooks/${made.id}/deliveries`, 'read'],
  ['GET', `/v1/webhooks/${made.id}/deliveries/${delivery}`, 'read'],
  ['POST', `/v1/webhooks/${made.id}/deliveries/${delivery}/replay`, 'write'],
  ['POST', `/v1/webhooks/${made.id}/replay`, 'write', { since: '2026-01-01T00:00:00Z' }],
  ['DELETE', `/v1/webhooks/${made.id}`, 'write'],
] as const;
const rows = async () =>
  JSON.stringify([
    (await t.db.pool.query('select id, url, events, enabled from audit.webhooks order by id')).rows,
    (await t.db.pool.query('select id from audit.webhook_secrets order by id')).rows,
    (await t.db.pool.query('select id from audit.webhook_deliveries order by id')).rows,
  ]);

test('this list of operations is whole', () => {
  const { paths } = t.app.swagger() as { paths: Record<string, Record<string, { 'x-permission'?: string }>> };
  const declared = Object.entries(paths)
    .filter(([path]) => path.startsWith('/v1/webhooks'))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, one]) => `${method.toUpperCase()} ${path} ${one['x-permission']}`),
    );
  const listed = operations.map(
    ([method, url, kind]) =>
      `${method} ${url.replace(made.id, '{webhook}').replace(delivery, '{delivery}')} webhooks:${kind}`,
  );
  assert.deepEqual(listed.toSorted(), declared.toSorted());
});

for (const [method, url, kind, payload] of operations) {
  test(`${method} ${url.replace(made.id, '…').replace(delivery, '…')} is refused to whoever may not`, async () => {
    const before = await rows();
    assert.equal((await t.call(method, url, { payload })).status, 401);
    assert.equal((await t.call(method, url, { payload, token: `${admin.token}x` })).status, 401);
    assert.equal((await as(developer.token)(method, url, payload)).status, 403);
    assert.equal((await as(auditor.token)(method, url, payload)).status, kind === 'read' ? 200 : 403);
    if (url.includes(made.id)) {
      const foreign = await as(globexAdmin.token)(method, url, payload);
      const absent = await as(globexAdmin.token)(method, url.replace(made.id, 'wh_0'), payload);
      assert.equal(foreign.status, 404);
      assert.deepEqual({ ...foreign.body, request_id: '' }, { ...absent.body, request_id: '' });
    }
    // Those of the operators' organization hear of everybody: permission alone does not do.
    if (url !== '/v1/webhooks/events') {
      for (const one of [operatorsAuditor, nearlyOperator]) {
        const refused = await as(one.token)(method, url, payload);
        assert.equal(refused.status, 403, refused.raw.body);
      }
    }
    assert.equal(await rows(), before);
  });
}

test('an address that could reach inside is refused with the field and the fix', async () => {
  for (const url of [
    'http://hooks.acme.example/',
    'http://127.0.0.1:9/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://127.1/',
    'https://10.0.0.5/hook',
    'https://169.254.169.254/latest/meta-data',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[fe80::1]/',
    'https://[fd00::1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://user:pass@hooks.acme.example/',
    'https://hooks.acme.example/#x',
    'ftp://hooks.acme.example/',
    'file:///etc/passwd',
    'gopher://hooks.acme.example/',
    'javascript:alert(1)',
    'not an address',
    '//hooks.acme.example/',
  ]) {
    for (const [method, path] of [
      ['POST', '/v1/webhooks'],
      ['PATCH', `/v1/webhooks/${made.id}`],
    ] as const) {
      const answer = await acme(method, path, { url, ...(method === 'POST' ? { events: ['*'] } : {}) });
      assert.equal(answer.status, 400, `${method} ${url}: ${answer.raw.body}`);
      assert.equal(answer.body.errors[0].field, 'url', url);
    }
  }
});

test('a name that leads inside is found out when it is called', async () => {
  const hook = (await acme('POST', '/v1/webhooks', { url: 'https://localhost:1/hook', events: ['user.*'] })).body;
  await acme('POST', `/v1/webhooks/${hook.id}/test`);
  for (const deadline = performance.now() + 20_000; ; ) {
    const { items } = (await acme('GET', `/v1/webhooks/${hook.id}/deliveries`)).body;
    if (items[0]?.last_error) {
      assert.match(items[0].last_error, /localhost is a private address/);
      break;
    }
    assert.ok(performance.now() < deadline, 'the delivery was not tried');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await acme('DELETE', `/v1/webhooks/${hook.id}`);
});

test('events that do not exist, and forms that are none, are refused', async () => {
  for (const events of [['user.exploded'], ['nothing.*'], ['user'], ['*.created'], ['USER.created'], [], ['']]) {
    const answer = await acme('POST', '/v1/webhooks', { url: 'https://hooks.acme.example/b', events });
    assert.equal(answer.status, 400, JSON.stringify(events));
    assert.match(answer.body.errors[0].field, /^(body\.)?events/);
  }
  const secret = await acme('POST', '/v1/webhooks', { url: 'https://b.example/', events: ['*'], secret: 'whsec_x' });
  assert.equal(secret.status, 400, 'a secret is never taken over HTTP');
});

test('a secret is shown once and never again; the audit knows the origin, not the path', async () => {
  const url = 'https://hooks.acme.example/T0KEN-in-the-path';
  const { id, secret } = (await acme('POST', '/v1/webhooks', { url, events: ['*'], description: 'chat' })).body;
  const rotated = (await acme('POST', `/v1/webhooks/${id}/rotate`, {})).body;
  assert.notEqual(rotated.secret, secret);
  await acme('PATCH', `/v1/webhooks/${id}`, { url: `${url}-2` });
  const read = [
    await acme('GET', '/v1/webhooks'),
    await acme('GET', `/v1/webhooks/${id}`),
    await acme('GET', '/v1/audit?limit=200'),
  ].map(({ raw }) => raw.body);
  const { rows: stored } = await t.db.pool.query(
    `select id, encode(sealed, 'base64') as sealed from audit.webhook_secrets`,
  );
  const everywhere = [...read, JSON.stringify(stored), ...t.logLines].join('\n');
  for (const value of [secret, rotated.secret]) {
    const bytes = value.slice('whsec_'.length);
    assert.ok(!everywhere.includes(value) && !everywhere.includes(bytes));
  }
  assert.ok(![read[2], ...t.logLines].join('\n').includes('T0KEN'));
  assert.equal(JSON.parse(read[1] ?? '').secrets.length, 2);
  assert.deepEqual(await t.actionsOn(id), ['webhook.created', 'webhook.secret_rotated', 'webhook.updated']);
  await acme('DELETE', `/v1/webhooks/${id}`);
  assert.equal((await acme('GET', `/v1/webhooks/${id}`)).status, 404);
});

test('a secret moved to another webhook does not sign there', async () => {
  const other = (await acme('POST', '/v1/webhooks', { url: 'https://other.acme.example/', events: ['*'] })).body;
  await t.db.pool.query('update audit.webhook_secrets set webhook_id = $1 where webhook_id = $2', [made.id, other.id]);
  const hook = { id: made.id, organization: 'acme' };
  await assert.rejects(
    t.db.read((tx) => t.modules.webhooks.secretMatches(tx, hook, other.secret)),
    { code: 'keys.cannot_open' },
  );
  await t.db.pool.query('delete from audit.webhook_secrets where id = $1', [other.secrets[0].id]);
  await acme('DELETE', `/v1/webhooks/${other.id}`);
});

test('one address has one webhook; lists have pages; there is a bound', async () => {
  const taken = await acme('POST', '/v1/webhooks', { url: 'https://hooks.acme.example/a', events: ['*'] });
  assert.equal(taken.status, 409);
  assert.equal(taken.body.code, 'kernel.conflict');
  for (let index = 1; index < maxWebhooks; index += 1) {
    const answer = await acme('POST', '/v1/webhooks', { url: `https://h.example/${index}`, events: ['keys.*'] });
    assert.equal(answer.status, 201, answer.raw.body);
  }
  assert.equal((await acme('POST', '/v1/webhooks', { url: 'https://h.example/x', events: ['*'] })).status, 409);
  const first = (await acme('GET', '/v1/webhooks?limit=30')).body;
  const second = (await acme('GET', `/v1/webhooks?limit=30&cursor=${first.next_cursor}`)).body;
  assert.deepEqual([first.items.length, second.items.length, second.next_cursor], [30, maxWebhooks - 30, undefined]);
  for (const cursor of ['x', Buffer.from('["a","b","c"]').toString('base64url')]) {
    assert.equal((await acme('GET', `/v1/webhooks?cursor=${cursor}`)).status, 400);
    assert.equal((await acme('GET', `/v1/webhooks/${made.id}/deliveries?cursor=${cursor}`)).status, 400);
  }
  const bad = Buffer.from('["x","del_1"]').toString('base64url');
  assert.equal((await acme('GET', `/v1/webhooks/${made.id}/deliveries?cursor=${bad}`)).status, 400);
  const leap = await acme('POST', `/v1/webhooks/${made.id}/replay`, { since: '2026-01-01T23:59:60Z' });
  assert.equal(leap.status, 400);
});
