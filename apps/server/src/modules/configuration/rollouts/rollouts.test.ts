import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFleetFixture } from './fleet-fixture.ts';

const base = '/v1/services/billing/default';

test('a version reaches the fleet one instance after the other, through two nodes', async () => {
  const t = await createFleetFixture();
  const second = await t.another();
  const [one, two, three] = await t.fleet(['web-1', 'web-2', 'web-3']);
  assert.ok(one && two && three);
  assert.equal((await t.rollout(1)).state, 'completed', 'nobody was there when version 1 was published');
  const version = await t.publish({ VALUE: 'two' });
  assert.equal(version, 2);
  const begun = await t.rollout(2);
  assert.equal(begun.state, 'running');
  assert.equal(begun.stable_version, 1);
  assert.equal(begun.counts.pending, 3);

  await one.report(2, 'received');
  const granted = await one.slot(2);
  assert.ok(granted.granted);
  assert.deepEqual(await one.slot(2, 0, second), granted, 'asked again, it is the same slot');
  const refused = await two.slot(2, 0, second);
  assert.deepEqual(refused, { granted: false, reason: 'max_unavailable', retry_after: 5, latest_version: 2 });
  assert.equal((await t.rollout(2)).counts.in_slot, 1);
  const waiting = two.slot(2, 30, second);
  await one.report(2, 'applied');
  await one.report(2, 'healthy');
  assert.ok((await waiting).granted, 'the other node is told');
  await two.report(2, 'applied', undefined, second);
  await two.report(2, 'healthy', undefined, second);
  await three.take(2, second);

  const ended = await t.rollout(2);
  assert.equal(ended.state, 'completed');
  assert.equal(ended.stable_version, 2);
  assert.deepEqual(ended.counts, {
    done: 3,
    pending: 0,
    in_slot: 0,
    restarting: 0,
    unhealthy: 0,
    rejected: 0,
    gone: 0,
  });
  const list = await t.instances();
  assert.deepEqual(
    list.map((item) => [item.name, item.running_version, item.state, item.in_fleet]),
    [one, two, three].sort((a, b) => (a.id < b.id ? -1 : 1)).map((agent) => [agent.name, 2, 'healthy', true]),
  );
  assert.deepEqual(await t.actionsOn('acme.billing/default'), [
    'namespace.created',
    'configuration.published',
    'configuration.published',
    'rollout.completed',
  ]);
});

test('the first unhealthy instance brings the old content back as a new version, which goes to that one alone', async () => {
  const t = await createFleetFixture();
  const [one, two, three] = await t.fleet(['web-1', 'web-2', 'web-3']);
  assert.ok(one && two && three);
  await t.publish({ VALUE: 'bad' });
  await two.slot(2);
  await two.report(2, 'applied');
  await two.report(2, 'unhealthy', 'exit code 1');

  const stopped = await t.rollout(2);
  assert.equal(stopped.state, 'stopped');
  assert.equal(
    stopped.reason,
    'Instance web-2 is unhealthy with version 2: exit code 1. Version 3 has the content of version 1.',
  );
  const restored = (await t.admin('GET', `${base}/3`)).body;
  assert.equal(restored.kind, 'automatic_rollback');
  assert.equal(restored.restores, 1);
  assert.equal(restored.created_by, 'gatehouse');
  assert.deepEqual(restored.configuration, { VALUE: 'one' });
  assert.deepEqual(restored.cause, {
    version: 2,
    instance: 'web-2',
    agent_id: two.id,
    state: 'unhealthy',
    reason: 'exit code 1',
  });

  const back = await t.rollout(3);
  assert.equal(back.state, 'running');
  assert.equal(back.counts.done, 2, 'the others have the content');
  assert.deepEqual((await three.slot(2)).reason, 'superseded');
  assert.ok((await three.slot(3)).granted, 'equal content needs no slot');
  await three.report(3, 'healthy');
  await two.take(3);
  assert.equal((await t.rollout(3)).state, 'completed');
  assert.equal((await t.rollout(3)).stable_version, 3);
  assert.equal((await t.instances()).filter((item) => item.state === 'healthy').length, 3);
});
