import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccountsFixture, testPassword } from '../../../testing/accounts-fixture.ts';
import { startReceiver, verifyStandardWebhook } from './receiver-fixture.ts';
import { disableAfterSeconds, maxAttempts } from './retry-rules.ts';

const receivers = await Promise.all(Array.from({ length: 9 }, startReceiver));
const t = await createAccountsFixture({ settings: { allowPrivateNetworks: receivers.map(({ origin }) => origin) } });

/** A receiver of its own for each test. */
function nextReceiver() {
  const receiver = receivers.pop();
  if (!receiver) throw new Error('start more receivers');
  return receiver;
}

/** As the operator in acme, with a token that is good at the clock's present time. */
async function acme(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) {
  const answer = await t.call(method, url, { token: await t.operatorToken(), organization: 'acme', payload });
  assert.ok(answer.status < 300, answer.raw.body);
  return answer.body;
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = performance.now() + 20_000; performance.now() < deadline; ) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited in vain until ${what}`);
}

const deliveryIn = (webhook: string, holds: (delivery: Record<string, unknown>) => boolean) =>
  until('a delivery is as expected', async () =>
    (await acme('GET', `/v1/webhooks/${webhook}/deliveries`)).items.find(holds),
  );

/** Waits until so many attempts have been made and what became of the last one is recorded. */
const attempted = (webhook: string, attempts: number) =>
  until(`attempt ${attempts} is over`, async () => {
    const { rows } = await t.db.pool.query<{ next_attempt_at: Date | null }>(
      'select next_attempt_at from audit.webhook_deliveries where webhook_id = $1 and attempts = $2 and claim is null',
      [webhook, attempts],
    );
    return rows[0];
  });

let users = 0;
const makeUser = async () => {
  users += 1;
  return (await acme('POST', '/v1/users', { username: `user-${users}`, password: testPassword, roles: ['developer'] }))
    .uid as string;
};

test('an endpoint is told of what happens in its organization, signed as Standard Webhooks say', async () => {
  const receiver = nextReceiver();
  const made = await t.acme('POST', '/v1/webhooks', { url: receiver.url, events: ['user.*'] });
  assert.equal(made.status, 201, made.raw.body);
  assert.equal(made.raw.headers['cache-control'], 'no-store');
  assert.match(made.body.secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  const uid = await makeUser();
  const message = await receiver.event('user.created');
  assert.equal(message.method, 'POST');
  assert.equal(message.headers['content-type'], 'application/json');
  assert.match(String(message.headers['webhook-id']), /^evt_[0-9a-z]{26}$/);
  assert.ok(verifyStandardWebhook(message, made.body.secret, t.clock.now()));
  assert.ok(!verifyStandardWebhook({ ...message, body: `${message.body} ` }, made.body.secret, t.clock.now()));
  const later = new Date(t.clock.now().getTime() + 301_000);
  assert.ok(!verifyStandardWebhook(message, made.body.secret, later));
  const { data, ...rest } = message.payload;
  assert.deepEqual(Object.keys(rest), ['type', 'timestamp']);
  assert.deepEqual(data.target, { type: 'user', id: uid });
  assert.equal(data.organization, 'acme');
  // The event has the id of its audit entry.
  const entries = (await acme('GET', '/v1/audit?action=user.created')).items;
  assert.ok(entries.some((entry: { id: string }) => entry.id === data.entry));
  assert.equal(String(message.headers['webhook-id']).slice(4), data.entry.slice(6));
});

test('a failing endpoint is tried again, later and later, until it answers', async () => {
  const receiver = nextReceiver();
  receiver.answers(503);
  const { id } = await acme('POST', '/v1/webhooks', { url: receiver.url, events: ['user.created'] });
  await makeUser();
  await attempted(id, 1);
  const first = await deliveryIn(id, () => true);
  assert.deepEqual([first.state, first.attempts], ['waiting', 1]);
  assert.match(first.last_error, /answered with status 503/);
  const wait = (Date.parse(first.next_attempt_at) - t.clock.now().getTime()) / 1000;
  assert.ok(wait >= 4 && wait <= 6, `${wait} s`);
  t.clock.advance(6);
  await attempted(id, 2);
  receiver.answers(204);
  t.clock.advance(24);
  const last = await deliveryIn(id, (delivery) => delivery['state'] === 'delivered');
  assert.deepEqual([last.attempts, last.last_status, last.last_error], [3, 204, undefined]);
  // The same message each time: the id is what a receiver tells repetitions by.
  assert.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, 1);
  assert.equal(new Set(receiver.received.map(({ body }) => body)).size, 1);
  assert.equal((await acme('GET', `/v1/webhooks/${id}`)).failing_since, undefined);
});

test('a redirect is not followed; a long answer is not read, and the event counts as delivered', async () => {
  const receiver = nextReceiver();
  const { id } = await acme('POST', '/v1/webhooks', { url: receiver.url, events: ['user.created'] });
  receiver.answers({ status: 302, headers: { location: `${receiver.origin}/elsewhere` } });
  await makeUser();
  await attempted(id, 1);
  assert.match((await deliveryIn(id, () => true)).last_error, /redirect; register the final address/);
  assert.equal(receiver.received.length, 1);
  receiver.answers({ status: 200, body: 'x'.repeat(1024 * 1024) });
  t.clock.advance(61);
  const delivered = await deliveryIn(id, (one) => one['state'] === 'delivered');
  assert.deepEqual([delivered.attempts, delivered.last_status], [2, 200]);
});

test('a delivery that failed too often is dead, and comes back by a replay', async () => {
  const receiver = nextReceiver();
  receiver.answers(500);
  const { id } = await acme('POST', '/v1/webhooks', { url: receiver.url, events: ['user.created'] });
  const since = t.clock.now().toISOString();
  await makeUser();
  for (let attempt = 1; attempt < maxAttempts; attempt += 1) {
    const { next_attempt_at: next } = await attempted(id, attempt);
    assert.ok(next);
    // Past the delay of this delivery and the minute for which the endpoint is left alone.
    t.clock.advance(Math.max(61, (next.getTime() - t.clock.now().getTime()) / 1000 + 1));
  }
  const dead = await deliveryIn(id, (one) => one['state'] === 'dead');
  assert.equal(dead.attempts, maxAttempts);
  assert.equal(dead.next_attempt_at, undefined);
  receiver.answers(204);
  t.clock.advance(100);
  const before = receiver.received.length;
  const again = await acme('POST', `/v1/webhooks/${id}/deliveries/${dead.id}/replay`);
  assert.deepEqual([again.state, again.attempts], ['waiting', 0]);
  await deliveryIn(id, (one) => one['state'] === 'delivered' && one['attempts'] === 1);
  assert.equal(receiver.received.length, before + 1);
  // All of a time: the dead only, unless the delivered ones are asked for too.
  assert.deepEqual(await acme('POST', `/v1/webhooks/${id}/replay`, { since }), { deliveries: 0 });
  const all = await acme('POST', `/v1/webhooks/${id}/replay`, { since, include_delivered: true });
  assert.deepEqual(all, { deliveries: 1 });
  await receiver.until((received) => received.length === before + 2);
});

test('an endpoint that fails for five days is disabled, collects what it misses, and gets it by a replay', async () => {
  const receiver = nextReceiver();
  receiver.answers(500);
  const { id } = await acme('POST', '/v1/webhooks', { url: receiver.url, events: ['user.created'] });
  const since = t.clock.now().toISOString();
  const missed = [await makeUser()];
  await attempted(id, 1);
  t.clock.advance(disableAfterSeconds + 1);
  const disabled = await until('the webhook is disabled', async () => {
    const webhook = await acme('GET', `/v1/webhooks/${id}`);
    return webhook.enabled ? undefined : webhook;
  });
  assert.equal(disabled.disabled_reason, 'failing');
  assert.deepEqual(await t.actionsOn(id), ['webhook.created', 'webhook.disabled']);
  missed.push(await makeUser());
  const sent = receiver.received.length;
  await until('what is missed is recorded', async () => {
    const { items } = await acme('GET', `/v1/webhooks/${id}/deliveries?state=dead`);
    return items.length === 2 ? items : undefined;
  });
  assert.equal(receiver.received.length, sent);
  receiver.answers(204);
  const refused = await t.call('POST', `/v1/webhooks/${id}/replay`, {
    token: await t.operatorToken(),
    organization: 'acme',
    payload: { since },
  });
  assert.equal(refused.status, 409);
  const enabled = await acme('PATCH', `/v1/webhooks/${id}`, { enabled: true });
  assert.deepEqual([enabled.enabled, enabled.disabled_reason, enabled.failing_since], [true, undefined, undefined]);
  const part = await acme('POST', `/v1/webhooks/${id}/replay`, { since, limit: 1 });
  assert.equal(part.deliveries, 1);
  const rest = await acme('POST', `/v1/webhooks/${id}/replay`, { since: part.continue_since });
  assert.deepEqual(rest, { deliveries: 1 });
  await receiver.until((received) => received.length === sent + 2);
  const told = receiver.received.slice(sent).map(({ payload }) => payload.data.target.id as string);
  assert.deepEqual(told.sort(), missed.sort());
});

test('410 Gone disables at once; disabling by hand gives up what waits and records nothing more', async () => {
  const receiver = nextReceiver();
  receiver.answers(410);
  const { id } = await acme('POST', '/v1/webhooks', { url: receiver.url, events: ['user.*'] });
  await makeUser();
  const gone = await until('the webhook is disabled', async () => {
    const webhook = await acme('GET', `/v1/webhooks/${id}`);
    return webhook.enabled ? undefined : webhook;
  });
  assert.equal(gone.disabled_reason, 'gone');

  receiver.answers(500);
  await acme('PATCH', `/v1/webhooks/${id}`, { enabled: true });
  await makeUser();
  await deliveryIn(id, (one) => one['state'] === 'waiting' && one['last_status'] === 500);
  const stopped = await acme('PATCH', `/v1/webhooks/${id}`, { enabled: false });
  assert.equal(stopped.disabled_reason, 'by_request');
  const before = (await acme('GET', `/v1/webhooks/${id}/deliveries`)).items;
  assert.ok(before.every((one: { state: string }) => one.state === 'dead'));
  await makeUser();
  await t.modules.audit.sealPending();
  await t.modules.webhooks.relayPending();
  assert.equal((await acme('GET', `/v1/webhooks/${id}/deliveries`)).items.length, before.length);
});

test('while a secret is being replaced both sign; after the overlap only the new one', async () => {
  const receiver = nextReceiver();
  const { id, secret: first } = await acme('POST', '/v1/webhooks', { url: receiver.url, events: ['user.*'] });
  const { secret: second, previous_expires_at: end } = await acme('POST', `/v1/webhooks/${id}/rotate`, {
    overlap_seconds: 3600,
  });
  assert.equal(Date.parse(end), t.clock.now().getTime() + 3_600_000);
  const send = async () => {
    const before = receiver.received.length;
    await acme('POST', `/v1/webhooks/${id}/test`);
    await receiver.until((received) => received.length > before);
    const message = receiver.received.at(-1);
    assert.ok(message);
    assert.equal(message.payload.type, 'webhook.test');
    return (secret: string) => verifyStandardWebhook(message, secret, t.clock.now());
  };
  const during = await send();
  assert.deepEqual([during(first), during(second)], [true, true]);
  t.clock.advance(3601);
  const after = await send();
  assert.deepEqual([after(first), after(second)], [false, true]);
  // A leaked secret ends at once.
  const { secret: third } = await acme('POST', `/v1/webhooks/${id}/rotate`, { overlap_seconds: 0 });
  const now = await send();
  assert.deepEqual([now(second), now(third)], [false, true]);
  assert.equal((await acme('GET', `/v1/webhooks/${id}`)).secrets.length, 1);
});

test('an endpoint that never answers does not hold up another one', async () => {
  const black = nextReceiver();
  const quick = nextReceiver();
  black.answers('never');
  const { id } = await acme('POST', '/v1/webhooks', { url: black.url, events: ['user.*'] });
  for (let index = 0; index < 6; index += 1) await makeUser();
  await black.until((received) => received.length >= 4);
  await acme('POST', '/v1/webhooks', { url: quick.url, events: ['user.*'] });
  const uid = await makeUser();
  await quick.until((received) => received.some(({ payload }) => payload.data.target.id === uid));
  await acme('DELETE', `/v1/webhooks/${id}`);
  assert.equal(black.received.length, 4);
});

test('attempts are counted by how they ended', async () => {
  const text = await t.metrics.registry.metrics();
  for (const result of ['delivered', 'failed', 'dead']) {
    assert.match(text, new RegExp(`gatehouse_webhook_attempts_total\\{result="${result}"\\} [1-9]`));
  }
});

test('what is older than 30 days is forgotten', async () => {
  t.clock.advance(31 * 24 * 3600);
  await t.modules.webhooks.purge();
  const { rows } = await t.db.pool.query(`select (select count(*)::int from audit.webhook_deliveries) as deliveries,
    (select count(*)::int from audit.webhook_events) as events`);
  assert.deepEqual(rows, [{ deliveries: 0, events: 0 }]);
});
