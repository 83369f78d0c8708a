/** Many agents, two nodes, one lock: what holds when they all ask at once, and when a node goes away. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { createSeededRandom } from '@gatehouse/testkit';
import type { Gatehouse } from '../../../app.ts';
import { createFleetFixture, type FleetFixture, type TestAgent } from './fleet-fixture.ts';

let t: FleetFixture;
let second: Gatehouse;
before(async () => {
  t = await createFleetFixture();
  second = await t.another();
});

const names = (count: number) => Array.from({ length: count }, (_, index) => `web-${index + 1}`);

test('of a crowd that asks through two nodes at once, exactly max_unavailable get a slot', async () => {
  const fleet = await t.fleet('crowd', names(12), { max_unavailable: 3 });
  await fleet.publish('two');
  const answers = await Promise.all(
    fleet.agents.flatMap((agent) => [agent.slot(2, 0, t), agent.slot(2, 0, second), agent.slot(2, 0, t)]),
  );
  assert.equal(answers.filter((answer) => answer.granted).length % 3, 0, 'an agent gets the same answer everywhere');
  assert.equal((await fleet.rollout(2)).counts.in_slot, 3);
});

test('a fleet that goes through a rollout by itself, on two nodes, never has more down than it may', async () => {
  const fleet = await t.fleet('fleet', names(10), { max_unavailable: 2, canary_percent: 10 });
  const random = createSeededRandom(7);
  const anyNode = () => ((random.bytes(1)[0] ?? 0) % 2 === 0 ? t : second);
  let down = 0;
  let most = 0;
  const run = async (agent: TestAgent) => {
    for (;;) {
      const slot = await agent.slot(2, 5, anyNode());
      if (slot.granted) break;
    }
    down += 1;
    most = Math.max(most, down);
    await agent.report(2, 'applied', undefined, anyNode());
    // Up again before it says so: what the server counts is never less than what is down.
    down -= 1;
    await agent.report(2, 'healthy', undefined, anyNode());
  };
  await fleet.publish('two', second);
  await Promise.all(fleet.agents.map(run));
  assert.ok(most <= 2, `${most} were down at once`);
  assert.equal((await fleet.rollout(2)).state, 'completed');
});

test('failures that arrive at once, through two nodes, publish the old content once', async () => {
  const fleet = await t.fleet('failures', names(4), { max_unavailable: 4 });
  await fleet.publish('bad');
  for (const agent of fleet.agents) assert.ok((await agent.slot(2)).granted);
  await Promise.all(
    fleet.agents.map((agent, index) => agent.report(2, 'unhealthy', `exit code ${index}`, index % 2 ? t : second)),
  );
  const versions = await t.admin('GET', `${fleet.base}/versions`);
  assert.deepEqual(
    versions.body.items.map((item: { version: number }) => item.version),
    [3, 2, 1],
  );
  assert.equal((await fleet.rollout(3)).state, 'running');
  for (const agent of fleet.agents) await agent.take(3);
  assert.equal((await fleet.rollout(3)).state, 'completed');
});

test('publishing against a storm of reports and slots: nobody waits for nobody, and every version has its rollout', async () => {
  const fleet = await t.fleet('storm', names(6), { max_unavailable: 6, automatic_rollback: false });
  const storm = fleet.agents.map(async (agent, index) => {
    for (let round = 0; round < 8; round += 1) {
      const node = (index + round) % 2 ? t : second;
      const { latest_version: latest = 1, granted } = await agent.slot(1, 0, node);
      if (!granted) await agent.slot(latest, 0, node);
      await agent.report(latest, 'applied', undefined, node);
      await agent.report(latest, round % 4 === 3 ? 'unhealthy' : 'healthy', 'as it happens', node);
    }
  });
  for (const value of ['a', 'b', 'c', 'd']) await fleet.publish(value, value < 'c' ? t : second);
  await Promise.all(storm);
  const rollouts = await t.admin('GET', `${fleet.base}/rollouts`);
  assert.deepEqual(
    rollouts.body.items.map((item: { version: number }) => item.version),
    [5, 4, 3, 2, 1],
  );
  const open = rollouts.body.items.filter((item: { state: string }) => item.state === 'running');
  assert.ok(open.length <= 1);
});

test('who waits is heard again by the poll alone, and at the end of the wait gets the last refusal', async () => {
  const fleet = await t.fleet('waiting', names(2));
  const [one, two] = fleet.agents as [TestAgent, TestAgent];
  await fleet.publish('two');
  await one.slot(2);
  const refused = await two.slot(2, 1);
  assert.equal(refused.reason, 'max_unavailable');
  const first = two.slot(2, 60);
  while (t.modules.configuration.rollouts.waiting() < 1) await new Promise(setImmediate);
  const waiting = two.slot(2, 30);
  assert.equal((await first).reason, 'max_unavailable', 'an agent stands in line once');
  // Behind the server's back, so no notice is given.
  await t.db.pool.query(
    `update configuration.instances set slot_version = null, report_due_at = null where namespace_id = $1`,
    [await fleet.namespaceId()],
  );
  assert.ok((await waiting).granted);
  assert.equal(t.modules.configuration.rollouts.waiting(), 0);
});

test('a node that goes away sends those who wait on their way; what it gave stays given, elsewhere', async () => {
  const fleet = await t.fleet('nodes', names(3));
  const [one, two, three] = fleet.agents as [TestAgent, TestAgent, TestAgent];
  const third = await t.another();
  await fleet.publish('two');
  const granted = await one.slot(2, 0, third);
  assert.ok(granted.granted);
  const waiting = [two.slot(2, 60, third), three.slot(2, 60, third)];
  while (third.modules.configuration.rollouts.waiting() < 2) await new Promise(setImmediate);
  const refusals = third.app.close().then(() => Promise.all(waiting));
  assert.deepEqual(
    (await refusals).map((answer) => answer.reason),
    ['max_unavailable', 'max_unavailable'],
  );
  assert.deepEqual(await one.slot(2, 0, t), granted);
  assert.equal((await two.slot(2, 0, t)).reason, 'max_unavailable');
  const next = two.slot(2, 30, second);
  await one.report(2, 'applied', undefined, t);
  await one.report(2, 'healthy', undefined, second);
  assert.ok((await next).granted);
});

test('an agent whose connection breaks leaves the line, and nothing of it is an error', async () => {
  const fleet = await t.fleet('broken-line', names(2));
  const [one, two] = fleet.agents as [TestAgent, TestAgent];
  await fleet.publish('two');
  await one.slot(2);
  const address = await t.app.listen({ port: 0, host: '127.0.0.1' });
  const leave = new AbortController();
  const asked = fetch(`${address}${fleet.base}/slot`, {
    method: 'POST',
    headers: { ...(await two.authorization()), 'content-type': 'application/json' },
    body: JSON.stringify({ version: 2, wait: 60 }),
    signal: leave.signal,
  });
  while (t.modules.configuration.rollouts.waiting() < 1) await new Promise(setImmediate);
  leave.abort();
  await assert.rejects(asked, { name: 'AbortError' });
  while (t.modules.configuration.rollouts.waiting() > 0) await new Promise(setImmediate);
  await one.report(2, 'healthy');
  assert.equal((await fleet.rollout(2)).counts.in_slot, 0, 'no slot for who has gone');
  assert.ok(!t.logLines.some((line) => line.includes('request failed')));
});

test('a line longer than one decision looks at is served to its end, and sent away as one when a newer version comes', async () => {
  const fleet = await t.fleet('long', names(2), { max_unavailable: 1 });
  const [holder] = fleet.agents as [TestAgent];
  const { id } = holder;
  const namespaceId = await fleet.namespaceId();
  // Agents and instances that cost no keys: what stands in line is an agent's id.
  await t.db.pool.query(
    `insert into configuration.agents (id, organization, service_id, service, name, signature_kid, signature_jwk,
      encryption_kid, encryption_jwk, enrolled_with, enrolled_at, keys_since, seen_at)
     select 'agt_long' || number, organization, service_id, service, 'long-' || number, 's' || number, '{}', 'e' || number,
       '{}', enrolled_with, enrolled_at, keys_since, seen_at
     from configuration.agents, generate_series(1, 600) as number where id = $1`,
    [id],
  );
  await t.db.pool.query(
    `insert into configuration.instances (namespace_id, agent_id, state, version, running_version, content_hash, available,
      failing, since, last_seen_at)
     select $1, 'agt_long' || number, 'healthy', 1, 1, i.content_hash, true, false, i.since, i.last_seen_at
     from configuration.instances i, generate_series(1, 600) as number where i.agent_id = $2`,
    [namespaceId, id],
  );
  const { ask, waiting } = t.modules.configuration.rollouts;
  const line = (version: number) =>
    Array.from({ length: 600 }, (_, index) => ask(namespaceId, { agentId: `agt_long${index + 1}`, version }, 60));
  await fleet.publish('two');
  await holder.slot(2);
  const first = line(2);
  while (waiting() < 600) await new Promise(setImmediate);
  await fleet.publish('three');
  const answers = await Promise.all(first);
  assert.ok(answers.every((answer) => !answer.granted && answer.reason === 'superseded'));
  const second = line(3);
  await holder.take(3);
  await fleet.setPolicy({ max_unavailable: 600 });
  await holder.report(3, 'healthy');
  assert.ok((await Promise.all(second)).every((answer) => answer.granted));
  assert.equal(waiting(), 0);
});
