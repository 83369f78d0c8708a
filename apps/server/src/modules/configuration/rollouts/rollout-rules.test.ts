import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { applyReport, expire, grantSlot, newInstance } from './instance-rules.ts';
import { defaultPolicy, type Instance, type ReportedState, type Rollout, type RolloutPolicy } from './rollout.ts';
import {
  canarySize,
  countInstance,
  decideFailure,
  decideSlot,
  type Fleet,
  firstPhase,
  isDown,
  nextStep,
  noFleet,
  startVersion,
  type Target,
} from './rollout-rules.ts';

const start = new Date('2026-01-01T00:00:00.000Z');
const seconds = (count: number) => new Date(start.getTime() + count * 1000);
const hashOf = (version: number) => `hash of ${version}`;
const target = (version: number): Target => ({ version, contentHash: hashOf(version) });

const countAll = (instances: readonly Instance[], of: Target): Fleet =>
  instances.reduce((fleet, instance) => countInstance(fleet, instance, of, 1), noFleet);

/** A fleet in memory that obeys the rules as the service does: one decision after the other. */
function createModel(policy: RolloutPolicy, size: number) {
  let now = 0;
  let version = 1;
  let contentHash = hashOf(1);
  let rollout: Pick<Rollout, 'state' | 'phase' | 'bakeUntil'> = {
    state: 'completed',
    phase: 'all',
    bakeUntil: undefined,
  };
  const instances: Instance[] = [];
  const join = () => {
    const fresh = newInstance('ns', `agent ${instances.length}`, version, seconds(now));
    const report = { version, state: 'healthy' as const };
    instances.push(applyReport(fresh, report, contentHash, { now: seconds(now), leaseSeconds: 10 }).instance);
  };
  for (let index = 0; index < size; index += 1) join();
  const latest = () => ({ version, contentHash });
  const advance = () => {
    while (rollout.state === 'running') {
      const step = nextStep(rollout, countAll(instances, latest()), policy, seconds(now));
      if (!step) return;
      rollout =
        step.to === 'completed'
          ? { state: 'completed', phase: rollout.phase, bakeUntil: undefined }
          : { state: 'running', phase: step.to, bakeUntil: step.bakeUntil };
    }
  };
  return {
    instances,
    join,
    advance,
    latest,
    rollout: () => rollout,
    pass(count: number) {
      now += count;
      instances.forEach((instance, index) => {
        if (instance.reportDueAt === undefined || instance.reportDueAt > seconds(now)) return;
        if (rollout.state === 'running') rollout = { ...rollout, state: 'stopped' };
        instances[index] = expire(instance, seconds(now));
      });
      advance();
    },
    publish() {
      version += 1;
      contentHash = hashOf(version);
      rollout = { state: 'running', phase: firstPhase('author', policy), bakeUntil: undefined };
      advance();
    },
    leave(index: number) {
      instances.splice(index, 1);
      advance();
    },
    /** Asks for a slot; checks that the fleet can bear what is granted. */
    ask(index: number): boolean {
      const instance = instances[index]!;
      const others = countAll(
        instances.filter((one) => one !== instance),
        latest(),
      );
      const decision = decideSlot({ rollout, latest: latest(), asked: version, instance, others, policy });
      if (!decision.granted || decision.kind !== 'new') return decision.granted;
      const served = !isDown(instance);
      instances[index] = grantSlot(instance, version, 10, seconds(now));
      const fleet = countAll(instances, latest());
      assert.ok(fleet.slots <= policy.maxUnavailable, `${fleet.slots} slots`);
      if (served) assert.ok(fleet.down <= policy.maxUnavailable, `${fleet.down} down`);
      return true;
    },
    report(index: number, state: ReportedState, of = version) {
      const before = instances[index]!;
      const report = applyReport(before, { version: of, state }, hashOf(of), { now: seconds(now), leaseSeconds: 10 });
      instances[index] = report.instance;
      if (report.failed && of === version && rollout.state === 'running') rollout = { ...rollout, state: 'stopped' };
      advance();
    },
  };
}

const policies = fc.record({
  maxUnavailable: fc.integer({ min: 1, max: 4 }),
  canaryPercent: fc.constantFrom(0, 1, 25, 50, 100),
  bakeSeconds: fc.constantFrom(0, 5, 30),
  leaseSeconds: fc.constant(10),
  automaticRollback: fc.boolean(),
});
const index = fc.nat({ max: 99 });
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('ask' as const), index }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      index,
      state: fc.constantFrom<ReportedState>('received', 'applied', 'rejected', 'healthy', 'unhealthy', 'stopped'),
      older: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('publish' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('join' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), index }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), seconds: fc.integer({ min: 1, max: 20 }) }) },
);

test('whatever the interleaving, no more slots than max_unavailable, and nobody serving is let go while so many are down', () => {
  fc.assert(
    fc.property(policies, fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 60 }), (policy, size, steps) => {
      const model = createModel(policy, size);
      for (const one of steps) {
        if (one.do === 'publish') model.publish();
        else if (one.do === 'join') model.join();
        else if (one.do === 'pass') model.pass(one.seconds);
        else if (model.instances.length > 0) {
          const chosen = one.index % model.instances.length;
          if (one.do === 'ask') model.ask(chosen);
          else if (one.do === 'leave') model.leave(chosen);
          else model.report(chosen, one.state, one.older ? Math.max(1, model.latest().version - 1) : undefined);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('instances that play along all get the version, in whatever order they ask, and never too few serve', () => {
  fc.assert(
    fc.property(policies, fc.integer({ min: 1, max: 12 }), fc.infiniteStream(index), (policy, size, order) => {
      const model = createModel(policy, size);
      model.publish();
      for (let turn = 0; turn < 2000 && model.rollout().state === 'running'; turn += 1) {
        const chosen = (order.next().value ?? 0) % size;
        const instance = model.instances[chosen]!;
        if (instance.slotVersion !== undefined) {
          model.report(chosen, instance.state === 'applied' ? 'healthy' : 'applied');
        } else if (instance.contentHash !== model.latest().contentHash) model.ask(chosen);
        else if (model.instances.every((one) => one.slotVersion === undefined)) model.pass(1);
        const { down } = countAll(model.instances, model.latest());
        assert.ok(down <= policy.maxUnavailable);
      }
      assert.equal(model.rollout().state, 'completed');
      assert.ok(model.instances.every((one) => one.contentHash === model.latest().contentHash && one.available));
    }),
    { numRuns: 200 },
  );
});

test('a version that never works takes down no more instances than may be down, and the rest keeps what it has', () => {
  fc.assert(
    fc.property(policies, fc.integer({ min: 1, max: 12 }), fc.infiniteStream(index), (policy, size, order) => {
      const model = createModel(policy, size);
      model.publish();
      for (let turn = 0; turn < 500; turn += 1) {
        const chosen = (order.next().value ?? 0) % size;
        const instance = model.instances[chosen]!;
        if (instance.slotVersion !== undefined) {
          model.report(chosen, instance.state === 'applied' ? 'unhealthy' : 'applied');
        } else model.ask(chosen);
      }
      const hit = model.instances.filter((one) => one.contentHash === model.latest().contentHash);
      assert.ok(hit.length >= 1 && hit.length <= policy.maxUnavailable, `${hit.length} of ${size}`);
      assert.equal(model.rollout().state, 'stopped');
    }),
    { numRuns: 200 },
  );
});

test('counting one by one is counting all', () => {
  const model = createModel({ ...defaultPolicy, maxUnavailable: 3 }, 5);
  model.publish();
  model.ask(0);
  model.ask(1);
  model.report(1, 'applied');
  model.report(1, 'unhealthy');
  const all = countAll(model.instances, model.latest());
  assert.deepEqual(all, { size: 5, down: 2, slots: 1, begun: 2, done: 0, failing: 1, gone: 0 });
  const without = model.instances.reduce((fleet, one) => countInstance(fleet, one, model.latest(), -1), all);
  assert.deepEqual(without, noFleet);
});

test('the canary is the share rounded up, at least one; without a share there is none', () => {
  const sizes = [0, 1, 3, 10, 11].map((size) => canarySize(size, { canaryPercent: 10 }));
  assert.deepEqual(sizes, [1, 1, 1, 1, 2]);
  assert.equal(canarySize(50, { canaryPercent: 0 }), 0);
});

test('canary, bake, all, bake, done', () => {
  const policy = { ...defaultPolicy, maxUnavailable: 9, canaryPercent: 25, bakeSeconds: 60 };
  const model = createModel(policy, 4);
  model.publish();
  assert.equal(model.rollout().phase, 'canary');
  assert.ok(model.ask(2));
  assert.ok(!model.ask(0), 'the canary has one place');
  model.report(2, 'applied');
  model.report(2, 'healthy');
  assert.equal(model.rollout().phase, 'canary_bake');
  assert.ok(!model.ask(0), 'baking');
  model.pass(60);
  assert.equal(model.rollout().phase, 'all');
  for (const other of [0, 1, 3]) {
    assert.ok(model.ask(other));
    model.report(other, 'healthy');
  }
  assert.equal(model.rollout().phase, 'final_bake');
  model.pass(59);
  assert.equal(model.rollout().state, 'running');
  model.pass(1);
  assert.equal(model.rollout().state, 'completed');
});

test('a slot without a report ends as unhealthy and stops the rollout', () => {
  const model = createModel(defaultPolicy, 2);
  model.publish();
  model.ask(0);
  model.pass(10);
  assert.equal(model.instances[0]?.reason, 'no report within the lease');
  assert.equal(model.instances[0]?.version, 2);
  assert.equal(model.instances[0]?.runningVersion, 1, 'what it last said');
  assert.equal(model.instances[0]?.contentHash, undefined, 'but it may have restarted');
  assert.equal(model.rollout().state, 'stopped');
  assert.ok(!model.ask(1));
});

test('an instance that asks for an old version is told so; one with the same content needs no slot', () => {
  const model = createModel(defaultPolicy, 1);
  const [instance] = model.instances;
  const rollout = { state: 'running', phase: 'all' } as const;
  const input = { rollout, others: { ...noFleet, size: 5, down: 5, slots: 5 }, policy: defaultPolicy };
  assert.deepEqual(decideSlot({ ...input, instance, latest: target(3), asked: 2 }), {
    granted: false,
    reason: 'superseded',
  });
  const same = { version: 3, contentHash: hashOf(1) };
  assert.deepEqual(decideSlot({ ...input, instance, latest: same, asked: 3 }), { granted: true, kind: 'needless' });
});

test('a report that changes nothing: a late received, a repeated unhealthy, unhealthy with content it failed with before', () => {
  const options = { now: seconds(9), leaseSeconds: 10 };
  const fresh = newInstance('ns', 'a', 1, start);
  const broken = applyReport(fresh, { version: 1, state: 'unhealthy', reason: 'exit 1' }, hashOf(1), options);
  assert.ok(broken.failed);
  assert.ok(!applyReport(broken.instance, { version: 1, state: 'unhealthy' }, hashOf(1), options).failed);
  const told = applyReport(broken.instance, { version: 2, state: 'received' }, hashOf(1), options).instance;
  assert.ok(!applyReport(told, { version: 2, state: 'unhealthy' }, hashOf(1), options).failed);
  assert.ok(isDown(told), 'a process that was down stays down');
  const slotted = grantSlot(told, 2, 10, seconds(10));
  assert.ok(
    applyReport(slotted, { version: 2, state: 'unhealthy' }, hashOf(1), options).failed,
    'it was restarted for it',
  );
  const healthy = applyReport(fresh, { version: 1, state: 'healthy' }, hashOf(1), options).instance;
  const late = applyReport(healthy, { version: 1, state: 'received' }, hashOf(1), options).instance;
  assert.equal(late.state, 'healthy');
});

test('a slot for a newer version outlives reports on the old one', () => {
  const options = { now: seconds(1), leaseSeconds: 10 };
  const model = createModel(defaultPolicy, 1);
  model.publish();
  model.ask(0);
  const held = model.instances[0]!;
  assert.equal(applyReport(held, { version: 1, state: 'healthy' }, hashOf(1), options).instance.slotVersion, 2);
  assert.equal(
    applyReport(held, { version: 2, state: 'rejected' }, hashOf(2), options).instance.slotVersion,
    undefined,
  );
});

test('a failure: back to the last that reached all, unless that is no use', () => {
  const old = target(1);
  assert.deepEqual(decideFailure('author', defaultPolicy, target(2), old), { do: 'roll_back', to: 1 });
  assert.equal(decideFailure('automatic_rollback', defaultPolicy, target(3), old).do, 'fail');
  assert.equal(decideFailure('author', { ...defaultPolicy, automaticRollback: false }, target(2), old).do, 'stop');
  assert.equal(decideFailure('author', defaultPolicy, target(2), undefined).do, 'stop');
  assert.equal(decideFailure('refresh', defaultPolicy, { version: 2, contentHash: hashOf(1) }, old).do, 'stop');
});

test('a fresh start does not jump the queue; who was let go already goes on', () => {
  const latest = target(3);
  const stable = target(1);
  const runs = { runningVersion: 3, slotVersion: undefined, available: true };
  const at = (state: Rollout['state'], instance?: Parameters<typeof startVersion>[0]['instance']) =>
    startVersion({ rollout: { state }, latest, stable, instance });
  assert.equal(at('completed'), 3);
  assert.equal(at('running'), 1);
  assert.equal(at('stopped'), 1);
  assert.equal(at('running', { runningVersion: 1, slotVersion: 3, available: false }), 3);
  assert.equal(at('running', { ...runs, available: false }), 3);
  assert.equal(at('stopped', runs), 3);
  assert.equal(at('stopped', { ...runs, available: false }), 1, 'it failed with 3');
  assert.equal(startVersion({ rollout: { state: 'running' }, latest, stable: undefined, instance: undefined }), 3);
  const same = { version: 1, contentHash: latest.contentHash };
  assert.equal(startVersion({ rollout: { state: 'running' }, latest, stable: same, instance: undefined }), 3);
});

test('a fleet that is merely gone completes nothing', () => {
  const rollout = { phase: 'all', bakeUntil: undefined } as const;
  assert.equal(nextStep(rollout, { ...noFleet, gone: 2 }, defaultPolicy, start), undefined);
  assert.deepEqual(nextStep(rollout, noFleet, defaultPolicy, start), { to: 'completed' });
  const back: Fleet = { ...noFleet, gone: 2, size: 1, begun: 1, done: 1 };
  assert.deepEqual(nextStep(rollout, back, defaultPolicy, start), { to: 'completed' });
});
