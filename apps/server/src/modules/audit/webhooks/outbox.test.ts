import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccountsFixture, testPassword } from '../../../testing/accounts-fixture.ts';
import { type Received, startReceiver } from './receiver-fixture.ts';

const receivers = [await startReceiver(), await startReceiver(), await startReceiver(), await startReceiver()] as const;
const [platform, acmeHook, globexHook, canaryHook] = receivers;
const t = await createAccountsFixture({ settings: { allowPrivateNetworks: receivers.map(({ origin }) => origin) } });
const second = await t.another();

const targets = (received: readonly Received[]) =>
  received
    .filter(({ payload }) => payload.type === 'user.created')
    .map(({ payload }) => payload.data.target.id as string);

test('each webhook hears of its organization; one of gatehouse of all; keys concern everybody', async () => {
  const hook = (organization: string | undefined, url: string) =>
    t.call('POST', '/v1/webhooks', { token: t.operator, organization, payload: { url, events: ['user.*', 'keys.*'] } });
  assert.equal((await hook(undefined, platform.url)).status, 201);
  assert.equal((await hook('acme', acmeHook.url)).status, 201);
  assert.equal((await hook('globex', globexHook.url)).status, 201);
  const make = async (organization: string, username: string) =>
    (await t.call('POST', '/v1/users', { token: t.operator, organization, payload: { username, roles: [] } })).body.uid;
  const [inAcme, inGlobex] = [await make('acme', 'in-acme'), await make('globex', 'in-globex')];
  const rotated = await t.call('POST', '/v1/keyrings/tokens-es256/rotate', {
    token: t.operator,
    payload: { force: true },
  });
  assert.ok(rotated.status < 300, rotated.raw.body);
  const told = await Promise.all([platform, acmeHook, globexHook].map((one) => one.event('keys.rotated')));
  // Messages come in no promised order: the users were made before the rotation, and may be told after it.
  const expected = [[inAcme, inGlobex], [inAcme], [inGlobex]];
  for (const [index, one] of [platform, acmeHook, globexHook].entries()) {
    await one.until((received) => expected[index]?.every((uid) => targets(received).includes(uid)) ?? false);
    assert.deepEqual(new Set(targets(one.received)), new Set(expected[index]));
  }
  const { rows } = await t.db.pool.query(`select w.organization, count(*)::int as users
    from audit.webhook_deliveries d join audit.webhooks w on w.id = d.webhook_id
    join audit.webhook_events e on e.id = d.event_id where e.type = 'user.created' group by 1 order by 1`);
  assert.deepEqual(rows, [
    { organization: 'acme', users: 1 },
    { organization: 'gatehouse', users: 2 },
    { organization: 'globex', users: 1 },
  ]);
  const published = (await t.app.inject('/.well-known/jwks.json')).json<{ keys: object[] }>();
  for (const { payload } of told) {
    assert.deepEqual(payload.data.jwks, published);
    assert.equal(payload.data.actor, undefined);
    assert.ok(!JSON.stringify(payload).includes('"d"'));
  }
});

test('a webhook made at one node hears of what is written at another from its answer on, once, and of nothing before', async () => {
  const payload = { url: `${acmeHook.origin}/second`, events: ['user.created'] };
  const rounds = 12;
  for (let round = 0; round < rounds; round += 1) {
    const [here, there] = round % 2 === 0 ? [t, second] : [second, t];
    const create = (username: string, node: { app: typeof t.app }) =>
      t.call('POST', '/v1/users', {
        token: t.operator,
        organization: 'globex',
        payload: { username, roles: [] },
        node,
      });
    // Writers never pause, so that the relay is in the middle of something when the webhook is made.
    const writing = { on: true };
    const noise = (async () => {
      for (let index = 0; writing.on; index += 1) await create(`noise-${round}-${index}`, here);
    })();
    const before = (await create(`before-${round}`, there)).body.uid;
    await t.modules.audit.sealPending();
    const options = { token: t.operator, organization: 'globex', payload, node: here };
    const { body: hook } = await t.call('POST', '/v1/webhooks', options);
    const after = (await create(`after-${round}`, there)).body.uid;
    writing.on = false;
    await noise;
    await acmeHook.until((received) => targets(received).includes(after));
    assert.ok(!targets(acmeHook.received).includes(before));
    await t.call('DELETE', `/v1/webhooks/${hook.id}`, { token: t.operator, organization: 'globex' });
  }
  const all = targets(acmeHook.received);
  assert.equal(new Set(all).size, all.length, 'none is told twice while nothing fails');
});

test('what did not commit is not told', async () => {
  const origin = { actor: { type: 'system', id: 'test' } } as const;
  const entry = (id: string) => ({
    action: 'user.created',
    organization: 'acme',
    origin,
    target: { type: 'user', id },
  });
  await assert.rejects(
    t.db.transaction(async (tx) => {
      await t.modules.audit.append(tx, entry('never'));
      throw new Error('undo');
    }),
    /undo/,
  );
  await t.db.transaction((tx) => t.modules.audit.append(tx, entry('committed')));
  await platform.until((received) => targets(received).includes('committed'));
  assert.ok(!targets(platform.received).includes('never'));
});

test('nothing secret or typed is in a payload, whatever is done', async () => {
  const made = await t.acme('POST', '/v1/webhooks', { url: canaryHook.url, events: ['*'] });
  const canaries = ['7 herons at dusk, CanaryPassw0rd', 'jo.canary', 'canary-agent', 'canary wrong guess'] as const;
  const user = { username: canaries[1], password: canaries[0], roles: ['developer'] };
  assert.equal((await t.acme('POST', '/v1/users', user)).status, 201);
  assert.equal((await t.signIn(canaries[1], canaries[0])).status, 200);
  assert.equal((await t.signIn(canaries[1], canaries[3])).status, 401);
  const service = await t.acme('POST', '/v1/services', { name: 'canary-service', grants: ['client_credentials'] });
  const authorization = `Basic ${Buffer.from(`acme.canary-service:${service.body.client_secret}`).toString('base64')}`;
  const token = await t.app.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: { authorization, 'content-type': 'application/x-www-form-urlencoded', 'user-agent': canaries[2] },
    payload: 'grant_type=client_credentials',
  });
  assert.equal(token.statusCode, 200, token.body);
  const added = await t.acme('POST', '/v1/services/canary-service/secrets', {});
  const value = 'canary-configuration-value';
  const configuration = { PLAIN: value, DB_PASS: { $secret: `${value}-secret` } };
  const namespace = { service: 'canary-service', namespace: 'default', configuration, message: 'canary-message' };
  const published = await t.acme('POST', '/v1/services/namespaces', namespace);
  assert.equal(published.status, 201, published.raw.body);
  await t.acme('POST', '/v1/services/canary-service/default/1/reveal', { reason: 'canary-reason' });
  const rotated = await t.acme('POST', `/v1/webhooks/${made.body.id}/rotate`, {});
  await t.acme('POST', `/v1/webhooks/${made.body.id}/test`);
  const last = await t.acme('POST', '/v1/users', { username: 'last-one', password: testPassword, roles: [] });
  await canaryHook.until((received) => targets(received).includes(last.body.uid));
  await canaryHook.event('webhook.test');
  await canaryHook.event('webhook.secret_rotated');
  await canaryHook.event('session.refused');
  const version = (await canaryHook.event('configuration.published')).payload.data;
  assert.deepEqual([version.service, version.namespace, version.version], ['canary-service', 'default', 1]);
  await canaryHook.event('configuration.revealed');
  const everything = canaryHook.received.map(({ body, headers }) => body + JSON.stringify(headers)).join('\n');
  const secrets = [
    ...canaries,
    value,
    'canary-message',
    'canary-reason',
    made.body.secret,
    rotated.body.secret,
    service.body.client_secret,
    added.body.client_secret,
    token.json<{ access_token: string }>().access_token,
    t.operator,
  ];
  for (const secret of secrets) {
    assert.equal(typeof secret, 'string');
    assert.ok(!everything.includes(secret.replace(/^whsec_/, '')), secret);
  }
  assert.ok(!/"(?:reason|address|user_agent|username|description)"/.test(everything));
});
