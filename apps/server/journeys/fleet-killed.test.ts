/**
 * Six `gatehouse run` before two nodes while nodes and agents are killed: programs go on, a rollout goes on by itself or
 * stops as the guide says, and never two are down.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from './support/conditions.ts';
import { type Fleet, type ListedInstance, startFleet } from './support/fleet.ts';

const size = 6;
let fleet: Fleet;

before(async () => {
  fleet = await startFleet({ size, nodes: 2, startPeriod: '60s' });
});
after(() => fleet?.close());

/** Publishes, and stops the time when two have the version, one holds the slot, and three still wait. */
async function publishHalfway(greeting: string): Promise<{ version: number; held: ListedInstance }> {
  fleet.sampler.forget();
  await fleet.closeGate();
  const version = await fleet.publish(greeting);
  for (const _ of [1, 2]) await fleet.letThrough((await fleet.heldAtTheGate(greeting)).name);
  const held = await fleet.heldAtTheGate(greeting);
  const { counts } = await fleet.rollout(version);
  assert.deepEqual([counts['done'], counts['pending']], [2, 3], JSON.stringify(counts));
  return { version, held };
}

async function assertEverywhere(version: number, greeting: string): Promise<void> {
  const listed = await fleet.instances();
  assert.deepEqual(
    listed.map(({ state, running_version }) => [state, running_version]),
    Array.from({ length: size }, () => ['healthy', version]),
  );
  await until(`all serve ${greeting}`, () => fleet.sampler.serving(greeting).length === size);
  assert.equal(fleet.sampler.mostDown(), 1);
}

test('every node is killed in the middle of a rollout: programs go on, and so does the rollout', async () => {
  const { version, held } = await publishHalfway('moin');
  const have = fleet.sampler.serving('moin');
  const pids = fleet.sampler.pids();
  await Promise.all(fleet.cluster.nodes.map((node) => node.kill()));
  await fleet.openGate();
  await until('the one at the gate is well', () => fleet.sampler.serving('moin').includes(held.name));
  assert.deepEqual(fleet.sampler.serving('moin').toSorted(), [...have, held.name].toSorted());
  assert.deepEqual(fleet.sampler.pids(), pids, 'without a server nobody restarts');
  await Promise.all(fleet.cluster.nodes.map((_, index) => fleet.cluster.restart(index)));
  await fleet.ends(version, 'completed', 90);
  await assertEverywhere(version, 'moin');
});

test('the node that gave the slot is killed: the other one goes on, and gives it to nobody else', async () => {
  const { version, held } = await publishHalfway('servus');
  const { node } = fleet.agent(held.name);
  await fleet.cluster.nodes[node]?.kill();
  const [instance] = (await fleet.instances()).filter(({ slot }) => slot !== undefined);
  assert.deepEqual([instance?.name, instance?.slot?.version], [held.name, version]);
  await fleet.openGate();
  await fleet.ends(version, 'completed');
  await assertEverywhere(version, 'servus');
  await fleet.cluster.restart(node);
});

test('an agent is killed in its slot and started again: the rollout goes on', async () => {
  const { version, held } = await publishHalfway('ahoi');
  const agent = fleet.agent(held.name);
  await agent.kill();
  await until('its program has ended with it', () => fleet.sampler.now(held.name) === undefined);
  await fleet.openGate();
  assert.equal((await fleet.rollout(version)).state, 'running');
  agent.start();
  await fleet.ends(version, 'completed');
  await assertEverywhere(version, 'ahoi');
});

test('an agent is killed in its slot and stays away: its lease ends, and the old content comes back', async () => {
  await fleet.setPolicy({ lease_seconds: 10 });
  fleet.sampler.forget();
  await fleet.closeGate();
  const before = fleet.sampler.pids();
  const version = await fleet.publish('tschau');
  const held = await fleet.heldAtTheGate('tschau');
  await fleet.agent(held.name).kill();
  const { reason = '' } = await fleet.ends(version, 'stopped');
  assert.match(reason, /no report within the lease/);
  await fleet.openGate();
  const back = await fleet.version(version + 1);
  assert.deepEqual(
    [back.kind, back.restores, back.configuration.GREETING, back.cause?.['instance']],
    ['automatic_rollback', version - 1, 'ahoi', held.name],
  );
  await until('its program has ended with it', () => fleet.sampler.now(held.name) === undefined);
  // Nobody else has to restart for what they have; the rollout stays open for the one that is missing.
  await until('the others know', async () => {
    const listed = (await fleet.instances()).filter(({ name }) => name !== held.name);
    return listed.every(({ state, running_version }) => state === 'healthy' && running_version === version + 1);
  });
  assert.equal((await fleet.rollout(version + 1)).state, 'running');
  const others = new Map([...before].filter(([name]) => name !== held.name));
  assert.deepEqual(fleet.sampler.pids(), others, 'the same processes');
  await fleet.setPolicy({});
  fleet.agent(held.name).start();
  await fleet.ends(version + 1, 'completed');
  await assertEverywhere(version + 1, 'ahoi');
});
