/** Rollouts as agents and people see them, over HTTP. The clock stands still until a test moves it. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { createFleetFixture, type Fleet, type FleetFixture, type TestAgent } from './fleet-fixture.ts';

let t: FleetFixture;
before(async () => {
  t = await createFleetFixture();
});

const three = ['web-1', 'web-2', 'web-3'];
const agentsOf = ({ agents }: Fleet) => agents as [TestAgent, TestAgent, TestAgent, TestAgent];
const counts = { done: 0, pending: 0, in_slot: 0, restarting: 0, unhealthy: 0, rejected: 0, gone: 0 };
const startOf = async (fleet: Fleet, agent: TestAgent) =>
  (await t.modules.configuration.rollouts.startVersion(await fleet.namespaceId(), agent.id))?.startVersion;
const auditOf = async (fleet: Fleet) =>
  (await t.actionsOn(`acme.${fleet.service}/default`)).filter((action) => action.startsWith('rollout'));

test('a version reaches the fleet one instance after the other, through two nodes', async () => {
  const second = await t.another();
  const fleet = await t.fleet('plain', three);
  const [one, two, last] = agentsOf(fleet);
  assert.equal((await fleet.rollout(1)).state, 'completed', 'nobody was there when version 1 was published');
  assert.equal(await fleet.publish('two'), 2);
  const begun = await fleet.rollout(2);
  assert.equal(begun.state, 'running');
  assert.equal(begun.phase, 'all');
  assert.equal(begun.stable_version, 1);
  assert.deepEqual((await fleet.rollout(1)).counts, counts, 'as it was when its rollout ended');
  assert.deepEqual(begun.counts, { ...counts, pending: 3 });

  await one.report(2, 'received');
  const granted = await one.slot(2);
  assert.ok(granted.granted);
  assert.deepEqual(await one.slot(2, 0, second), granted, 'asked again, it is the same slot');
  const refused = await two.slot(2, 0, second);
  assert.deepEqual(refused, { granted: false, reason: 'max_unavailable', retry_after: 5, latest_version: 2 });
  assert.deepEqual((await fleet.rollout(2)).counts, { ...counts, pending: 2, in_slot: 1 });
  const waiting = two.slot(2, 30, second);
  await one.report(2, 'applied');
  await one.report(2, 'healthy');
  assert.ok((await waiting).granted, 'the other node is told');
  await two.report(2, 'applied', undefined, second);
  await two.report(2, 'healthy', undefined, second);
  await last.take(2, second);

  const ended = await fleet.rollout(2);
  assert.equal(ended.state, 'completed');
  assert.equal(ended.stable_version, 2);
  assert.deepEqual(ended.counts, { ...counts, done: 3 });
  assert.ok((await fleet.instances()).every((item) => item.running_version === 2 && item.state === 'healthy'));
  assert.deepEqual(await auditOf(fleet), ['rollout.completed']);
});

test('the first unhealthy instance brings the old content back as a new version, which goes to that one alone', async () => {
  const fleet = await t.fleet('broken', three);
  const [, two, last] = agentsOf(fleet);
  await fleet.publish('bad');
  await two.slot(2);
  await two.report(2, 'applied');
  await two.report(2, 'unhealthy', 'exit code\n1');

  const stopped = await fleet.rollout(2);
  assert.equal(stopped.state, 'stopped');
  assert.equal(
    stopped.reason,
    'Instance web-2 is unhealthy with version 2: exit code 1. Version 3 has the content of version 1.',
  );
  const restored = (await t.admin('GET', `${fleet.base}/3`)).body;
  assert.equal(restored.kind, 'automatic_rollback');
  assert.equal(restored.restores, 1);
  assert.deepEqual(restored.configuration, { VALUE: 'one' });
  const cause = { version: 2, instance: 'web-2', agent_id: two.id, state: 'unhealthy', reason: 'exit code 1' };
  assert.deepEqual(restored.cause, cause);
  assert.deepEqual(stopped.cause, cause);

  const back = await fleet.rollout(3);
  assert.equal(back.state, 'running');
  assert.deepEqual(back.counts, { ...counts, done: 2, unhealthy: 1 }, 'the others have the content');
  assert.equal((await last.slot(2)).reason, 'superseded');
  assert.ok((await last.slot(3)).granted, 'equal content needs no slot');
  await last.report(3, 'healthy');
  await two.take(3);
  assert.equal((await fleet.rollout(3)).state, 'completed');
  assert.equal((await fleet.rollout(3)).stable_version, 3);
  assert.ok((await fleet.instances()).every((item) => item.state === 'healthy'));
  assert.deepEqual(await auditOf(fleet), ['rollout.stopped', 'rollout.completed']);
});

test('an automatic rollback that fails is not rolled back: it stops as failed, and people may let it go on', async () => {
  const fleet = await t.fleet('loop', three);
  const [one, two] = agentsOf(fleet);
  await fleet.publish('bad');
  await one.slot(2);
  await one.report(2, 'unhealthy', 'exit code 1');
  assert.ok((await one.slot(3)).granted);
  await one.report(3, 'unhealthy', 'the disk is full');
  const failed = await fleet.rollout(3);
  assert.equal(failed.state, 'failed');
  assert.match(
    failed.reason,
    /^Instance web-1 is unhealthy with version 3: the disk is full\. This version is the aut/,
  );
  assert.equal((await t.admin('GET', `${fleet.base}/latest`)).body.version, 3, 'nothing more was published');
  await one.report(3, 'unhealthy', 'still full');
  assert.equal((await t.admin('GET', `${fleet.base}/latest`)).body.version, 3);
  assert.deepEqual(await auditOf(fleet), ['rollout.stopped', 'rollout.failed']);

  const resumed = await t.admin('POST', `${fleet.base}/rollouts/3/resume`);
  assert.equal(resumed.status, 200, resumed.raw.body);
  await one.report(3, 'healthy');
  assert.equal((await fleet.rollout(3)).state, 'completed');
  assert.ok((await two.slot(3)).granted);
});

test('a version that an instance rejects stops as well, without anybody down', async () => {
  const fleet = await t.fleet('rejected', three);
  const [one, two] = agentsOf(fleet);
  await fleet.publish('bad');
  await one.report(2, 'rejected', 'app.conf: no key NAME');
  assert.equal((await fleet.rollout(2)).state, 'stopped');
  assert.deepEqual((await fleet.rollout(2)).counts, { ...counts, pending: 2, rejected: 1 });
  const [item] = (await fleet.instances()).filter((listed) => listed.name === 'web-1');
  assert.equal(item.available, true);
  assert.equal(item.running_version, 1);
  assert.equal(item.reason, 'app.conf: no key NAME');
  const version = await t.admin('GET', `${fleet.base}/3`);
  assert.equal(version.body.kind, 'automatic_rollback');
  assert.equal((await fleet.rollout(3)).state, 'completed', 'all instances have the content still');
  await two.report(3, 'healthy');
});

test('without automatic_rollback it stops, nobody gets a slot, and a newer version goes on', async () => {
  const fleet = await t.fleet('manual', three, { automatic_rollback: false });
  const [one, two] = agentsOf(fleet);
  await fleet.publish('bad');
  await one.slot(2);
  await one.report(2, 'unhealthy', 'exit code 1');
  const stopped = await fleet.rollout(2);
  assert.equal(stopped.state, 'stopped');
  assert.match(stopped.reason, /The policy has automatic_rollback off\.$/);
  assert.deepEqual(await two.slot(2), { granted: false, reason: 'stopped', retry_after: 30, latest_version: 2 });
  await fleet.publish('good');
  assert.equal((await fleet.rollout(2)).state, 'stopped', 'it keeps how it ended');
  assert.equal((await two.slot(3)).reason, 'max_unavailable', 'one is down already');
  await one.take(3);
  await two.take(3);
});

test('a slot without a report ends as unhealthy, even when nobody asks any more', async () => {
  const fleet = await t.fleet('quiet', three);
  const [one, two] = agentsOf(fleet);
  await fleet.publish('two');
  await one.slot(2);
  assert.equal((await two.slot(2)).granted, false);
  await t.pass(121);
  const stopped = await fleet.rollout(2);
  assert.equal(stopped.state, 'stopped');
  assert.match(stopped.reason, /^Instance web-1 is unhealthy with version 2: no report within the lease\./);
  assert.equal((await two.slot(3)).granted, true, 'equal content');
  const [item] = (await fleet.instances()).filter((listed) => listed.name === 'web-1');
  assert.equal(item.state, 'unhealthy');
  assert.equal(item.slot, undefined);
  await two.report(3, 'healthy');
  assert.equal((await fleet.rollout(3)).state, 'running', 'nobody knows what the silent one runs, so it is waited for');
  await one.take(3);
  assert.equal((await fleet.rollout(3)).state, 'completed');
});

test('a slot that ended late is noticed by whoever asks next, before anything is granted', async () => {
  const fleet = await t.fleet('late', three, { automatic_rollback: false });
  const [one, two] = agentsOf(fleet);
  await fleet.publish('two');
  await one.slot(2);
  t.clock.advance(121);
  assert.equal((await two.slot(2)).reason, 'stopped');
});

test('canary, bake, all, bake: each phase waits for the one before', async () => {
  const policy = { max_unavailable: 4, canary_percent: 25, bake_seconds: 300 };
  const fleet = await t.fleet('canary', ['a', 'b', 'c', 'd'], policy);
  const [a, b, c, d] = agentsOf(fleet);
  await fleet.publish('two');
  assert.equal((await fleet.rollout(2)).phase, 'canary');
  assert.ok((await b.slot(2)).granted);
  assert.deepEqual(await a.slot(2), { granted: false, reason: 'canary', retry_after: 10, latest_version: 2 });
  await b.report(2, 'healthy');
  const baking = await fleet.rollout(2);
  assert.equal(baking.phase, 'canary_bake');
  assert.equal(baking.bake_until, new Date(t.clock.now().getTime() + 300_000).toISOString());
  assert.deepEqual(await a.slot(2), { granted: false, reason: 'baking', retry_after: 30, latest_version: 2 });
  t.clock.advance(290);
  assert.equal((await a.slot(2)).retry_after, 10);
  t.clock.advance(10);
  await a.take(2);
  assert.equal((await fleet.rollout(2)).phase, 'all');
  await c.take(2);
  await d.take(2);
  assert.equal((await fleet.rollout(2)).phase, 'final_bake');
  await t.pass(299);
  assert.equal((await fleet.rollout(2)).state, 'running');
  await t.pass(1);
  assert.equal((await fleet.rollout(2)).state, 'completed');
});

test('a canary that gets ill while it bakes takes the version back, and nobody else ever had it', async () => {
  const fleet = await t.fleet('ill', ['a', 'b', 'c', 'd'], { canary_percent: 1, bake_seconds: 600 });
  const [a, b] = agentsOf(fleet);
  await fleet.publish('leaks');
  await a.take(2);
  await t.pass(400);
  await a.report(2, 'unhealthy', 'out of memory');
  assert.equal((await fleet.rollout(2)).state, 'stopped');
  const back = await fleet.rollout(3);
  assert.equal(back.phase, 'all', 'the way back has no canary');
  assert.ok((await b.slot(3)).granted);
  await a.take(3);
  await t.pass(600);
  assert.equal((await fleet.rollout(3)).state, 'completed');
});

test('a fresh start while a rollout is open begins with the version that reached all', async () => {
  const fleet = await t.fleet('fresh', three);
  const [one] = agentsOf(fleet);
  const fresh = await fleet.join('new');
  assert.equal(await startOf(fleet, fresh), 1);
  await fleet.publish('two');
  assert.equal(await startOf(fleet, fresh), 1);
  await one.slot(2);
  assert.equal(await startOf(fleet, one), 2, 'it was let go already');
  await one.report(2, 'applied');
  assert.equal(await startOf(fleet, one), 2);
  await fresh.report(1, 'applied');
  assert.equal((await fleet.rollout(2)).counts.pending, 3, 'the new one is part of it');
  await fresh.report(1, 'healthy');
  await one.report(2, 'unhealthy', 'exit code 1');
  assert.equal(await startOf(fleet, fresh), 3, 'the content that reached all, under its newest number');
  assert.equal(await t.modules.configuration.rollouts.startVersion('ns_none', fresh.id), undefined);
});

test('a newer version takes the place of a rollout under way; who is out for the old one comes back for the new', async () => {
  const fleet = await t.fleet('newer', three);
  const [one, two] = agentsOf(fleet);
  await fleet.publish('two');
  await one.slot(2);
  await fleet.publish('three');
  const superseded = await fleet.rollout(2);
  assert.equal(superseded.state, 'superseded');
  assert.deepEqual(superseded.counts, { ...counts, pending: 2, in_slot: 1 });
  assert.equal((await two.slot(3)).reason, 'max_unavailable', 'one is out still');
  assert.ok((await one.slot(3)).granted, 'its slot is for the new version now');
  await one.report(2, 'unhealthy', 'never mind');
  assert.equal((await fleet.rollout(3)).state, 'running', 'a failure with the old version is not one of the new');
  await one.report(3, 'applied');
  await one.report(3, 'healthy');
  await two.take(3);
});

test('people stop a rollout and let it go on', async () => {
  const fleet = await t.fleet('people', three);
  const [one] = agentsOf(fleet);
  await fleet.publish('two');
  const stopped = await t.admin('POST', `${fleet.base}/rollouts/2/stop`, { reason: 'wait for the database' });
  assert.equal(stopped.status, 200, stopped.raw.body);
  assert.match(stopped.body.reason, /^Stopped by \S+: wait for the database$/);
  assert.equal((await one.slot(2)).reason, 'stopped');
  const twice = await t.admin('POST', `${fleet.base}/rollouts/2/stop`, {});
  assert.equal(twice.status, 409);
  assert.equal(twice.body.code, 'configuration.rollout_closed');
  const waiting = one.slot(2, 30);
  assert.equal((await t.admin('POST', `${fleet.base}/rollouts/2/resume`)).body.state, 'running');
  assert.ok((await waiting).granted, 'who waits hears of it');
  await fleet.publish('three');
  const old = await t.admin('POST', `${fleet.base}/rollouts/2/resume`);
  assert.equal(old.status, 409);
  assert.match(old.body.detail, /Version 3 is newer/);
  assert.deepEqual(await auditOf(fleet), ['rollout.stopped', 'rollout.resumed']);
});

test('who was not seen for long, was revoked or has stopped does not hold a rollout up', async () => {
  const fleet = await t.fleet('leaving', ['a', 'b', 'c', 'd']);
  const [a, b, c, d] = agentsOf(fleet);
  const namespaceId = await fleet.namespaceId();
  await fleet.publish('two');
  await a.take(2);
  await b.report(1, 'stopped');
  assert.equal((await t.admin('DELETE', `/v1/services/${fleet.service}/agents/${c.id}`)).status, 204);
  assert.deepEqual((await fleet.rollout(2)).counts, { ...counts, done: 1, pending: 1 });
  for (let minute = 0; minute < 16; minute += 1) {
    t.modules.configuration.rollouts.seen(a.id, namespaceId);
    await t.modules.configuration.rollouts.flushSeen();
    await t.pass(60);
  }
  const ended = await fleet.rollout(2);
  assert.equal(ended.state, 'completed');
  assert.deepEqual(ended.counts, { ...counts, done: 1, gone: 1 });
  const shown = (await fleet.instances()).filter((item) => item.in_fleet).map((item) => item.name);
  assert.deepEqual(shown, ['a']);
  await d.take(2);
  assert.equal((await fleet.rollout(2)).counts.done, 2, 'who comes back counts again');
});

test('nobody is let go beside one that was not heard of for so long that it may be dead', async () => {
  const fleet = await t.fleet('speechless', three);
  const [silent, b, c] = agentsOf(fleet);
  const namespaceId = await fleet.namespaceId();
  for (let minute = 0; minute < 3; minute += 1) {
    await t.pass(60);
    for (const one of [b, c]) t.modules.configuration.rollouts.seen(one.id, namespaceId);
    await t.modules.configuration.rollouts.flushSeen();
  }
  await fleet.publish('two');
  const refused = await b.slot(2);
  assert.deepEqual([refused.granted, refused.reason], [false, 'max_unavailable']);
  await silent.take(2);
  await b.take(2);
  await c.take(2);
  assert.equal((await fleet.rollout(2)).state, 'completed');
});

test('an outage of the server makes nobody gone, and completes nothing', async () => {
  const fleet = await t.fleet('outage', three);
  await fleet.publish('two');
  t.clock.advance(3600);
  await t.modules.configuration.rollouts.tick();
  const open = await fleet.rollout(2);
  assert.equal(open.state, 'running');
  assert.deepEqual(open.counts, { ...counts, pending: 3 });
  await t.pass(15 * 60 + 60);
  assert.deepEqual((await fleet.rollout(2)).counts, { ...counts, gone: 3 });
  assert.equal((await fleet.rollout(2)).state, 'running', 'a fleet that is merely gone has shown nothing');
});

test('the same content again asks nothing of the fleet', async () => {
  const fleet = await t.fleet('same', three, { bake_seconds: 600, canary_percent: 10 });
  await fleet.publish('one');
  assert.equal((await fleet.rollout(2)).state, 'completed');
});
