/** What is counted in SQL is what the rules count. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { addSeconds } from '../../../kernel/index.ts';
import { createFleetFixture, type FleetFixture, type Fleet as TestFleet } from './fleet-fixture.ts';
import { countFleet, countPlacesOf, findInstances, saveInstances, updateSeen } from './instance-store.ts';
import { type Instance, instanceStates } from './rollout.ts';
import { countInstance, noFleet } from './rollout-rules.ts';

let t: FleetFixture;
let fleet: TestFleet;
let namespaceId: string;
before(async () => {
  t = await createFleetFixture();
  fleet = await t.fleet('billing', ['a', 'b', 'c', 'd', 'e']);
  namespaceId = await fleet.namespaceId();
});

const version = fc.constantFrom(1, 2, 3);
const moment = new Date('2026-01-01T00:00:00.000Z');
const anyInstance = fc
  .record({
    state: fc.constantFrom(...instanceStates),
    version,
    running: fc.option(fc.record({ version, hash: fc.constantFrom('old', 'new') }), { nil: undefined }),
    available: fc.boolean(),
    failing: fc.boolean(),
    slot: fc.option(version, { nil: undefined }),
    reason: fc.option(fc.constantFrom('why', 'a "quoted" \\ reason'), { nil: undefined }),
  })
  .map(
    (one): Omit<Instance, 'agentId' | 'namespaceId'> => ({
      state: one.state,
      version: one.version,
      runningVersion: one.running?.version,
      contentHash: one.running?.hash,
      available: one.available,
      failing: one.failing,
      reason: one.reason,
      since: moment,
      lastSeenAt: addSeconds(moment, 5),
      slotVersion: one.slot,
      reportDueAt: one.slot === undefined ? undefined : addSeconds(moment, 60),
    }),
  );

test('any fleet is written, read and counted alike', async () => {
  const target = { version: 2, contentHash: 'new' };
  await fc.assert(
    fc.asyncProperty(fc.array(anyInstance, { minLength: 5, maxLength: 5 }), async (states) => {
      const instances = states.map(
        (state, index): Instance => ({ ...state, namespaceId, agentId: fleet.agents[index]?.id ?? '' }),
      );
      await t.db.transaction((tx) => saveInstances(tx, instances));
      const read = await t.db.read((tx) =>
        findInstances(
          tx,
          namespaceId,
          instances.map((one) => one.agentId),
        ),
      );
      for (const instance of instances) assert.deepEqual(read.get(instance.agentId), instance);
      const counted = await t.db.read((tx) => countFleet(tx, namespaceId, target, moment));
      const members = instances.filter((one) => one.state !== 'stopped');
      const expected = members.reduce((all, one) => countInstance(all, one, target, 1), noFleet);
      assert.deepEqual(counted, expected);
      const places = await t.db.read((tx) => countPlacesOf(tx, namespaceId, target, moment));
      assert.equal(
        Object.values(places).reduce((sum, count) => sum + count),
        members.length,
        'each is counted once',
      );
    }),
    { numRuns: 30 },
  );
});

test('sightings only move forward, and one of an instance that is locked is left out', async () => {
  const [one, two] = fleet.agents.map((agent) => agent.id) as [string, string];
  const at = addSeconds(moment, 3600);
  const sightings = [one, two, 'agt_unknown'].map((agentId) => ({ namespaceId, agentId, at }));
  const other = await t.db.pool.connect();
  try {
    await other.query('begin');
    await other.query('select from configuration.instances where agent_id = $1 for update', [two]);
    await t.db.transaction((tx) => updateSeen(tx, sightings));
  } finally {
    await other.query('rollback');
    other.release();
  }
  await t.db.transaction((tx) =>
    updateSeen(
      tx,
      sightings.map((sighting) => ({ ...sighting, at: moment })),
    ),
  );
  const read = await t.db.read((tx) => findInstances(tx, namespaceId, [one, two]));
  assert.deepEqual(read.get(one)?.lastSeenAt, at);
  assert.notDeepEqual(read.get(two)?.lastSeenAt, at);
});
