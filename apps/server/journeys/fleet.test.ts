/**
 * Six `gatehouse run` with real programs, asked from outside all the time: never two are down, the first that cannot live
 * with a version is the only one that ever gets it, and a canary goes first.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from './support/conditions.ts';
import { type Fleet, startFleet } from './support/fleet.ts';

const size = 6;
let fleet: Fleet;

before(async () => {
  fleet = await startFleet({ size, startPeriod: '10s' });
});
after(() => fleet?.close());

/** Everybody is listed as healthy with this version, and serves what it says. */
async function assertEverywhere(version: number, greeting: string): Promise<void> {
  const listed = await fleet.instances();
  assert.deepEqual(
    listed.map(({ state, running_version }) => [state, running_version]),
    Array.from({ length: size }, () => ['healthy', version]),
  );
  await until(`all serve ${greeting}`, () => fleet.sampler.serving(greeting).length === size);
}

/** The one whose process is another than before. */
function changedSince(pids: ReadonlyMap<string, number>): string[] {
  return [...fleet.sampler.pids()].flatMap(([name, pid]) => (pids.get(name) === pid ? [] : [name]));
}

test('a version reaches six programs, and never two are down', async (t) => {
  const pids = fleet.sampler.pids();
  const version = await fleet.publish('moin');
  await fleet.ends(version, 'completed');
  await assertEverywhere(version, 'moin');
  assert.equal(changedSince(pids).length, size);
  assert.equal(fleet.sampler.mostDown(), 1);
  const [first] = fleet.sampler.outages();
  const times = fleet.sampler.outages().map(({ name, from }) => `${name} ${from - (first?.from ?? 0)} ms`);
  t.diagnostic(`they went down in turn: ${times.join(', ')}`);
});

test('the sampler sees it when more are down', async () => {
  fleet.sampler.forget();
  await fleet.setPolicy({ max_unavailable: 3 });
  await fleet.closeGate();
  const version = await fleet.publish('servus');
  await until('three are down', () => fleet.sampler.mostDown() >= 3, 60);
  await fleet.openGate();
  await fleet.ends(version, 'completed');
  assert.equal(fleet.sampler.mostDown(), 3);
  await fleet.setPolicy({});
});

for (const [greeting, why] of [
  ['boom', /exit code 1/],
  ['sick', /http probe 127\.0\.0\.1:\d+\/: 503/],
] as const) {
  test(`the first with ${greeting} is the only one that ever has it, and comes back with the old content`, async () => {
    fleet.sampler.forget();
    const pids = fleet.sampler.pids();
    const version = await fleet.publish(greeting);
    const { reason = '' } = await fleet.ends(version, 'stopped');
    assert.match(reason, why);
    await fleet.ends(version + 1, 'completed');
    await assertEverywhere(version + 1, 'servus');
    const { kind, restores, cause, configuration } = await fleet.version(version + 1);
    assert.deepEqual([kind, restores, configuration.GREETING], ['automatic_rollback', version - 1, 'servus']);
    assert.deepEqual([cause?.['version'], cause?.['state']], [version, 'unhealthy']);
    assert.match(String(cause?.['reason']), why);
    assert.deepEqual(changedSince(pids), [cause?.['instance']]);
    assert.equal(fleet.sampler.mostDown(), 1);
  });
}

/** Publishes with a canary, and waits until it has the version and bakes. */
async function publishToCanary(greeting: string): Promise<{ version: number; bakeUntil: number }> {
  await fleet.setPolicy({ canary_percent: 10, bake_seconds: 2 });
  fleet.sampler.forget();
  const version = await fleet.publish(greeting);
  let bakeUntil = Number.NaN;
  await until('the canary bakes', async () => {
    const { phase, bake_until } = await fleet.rollout(version);
    if (phase !== 'canary_bake' || bake_until === undefined) return false;
    bakeUntil = Date.parse(bake_until);
    return true;
  });
  return { version, bakeUntil };
}

test('the canary goes first; the others only after its bake', async () => {
  const { version, bakeUntil } = await publishToCanary('ahoi');
  await fleet.ends(version, 'completed');
  await assertEverywhere(version, 'ahoi');
  const outages = fleet.sampler.outages().toSorted((a, b) => a.from - b.from);
  const [canary, ...others] = outages;
  assert.ok(canary && canary.from < bakeUntil);
  assert.equal(new Set(outages.map(({ name }) => name)).size, size);
  // One clock for all: this machine's.
  for (const { name, from } of others) assert.ok(from >= bakeUntil, `${name} went down before the bake was over`);
  assert.equal(fleet.sampler.mostDown(), 1);
});

test('the server is killed while the canary bakes: the others wait for it, and then have their turn', async () => {
  const pids = fleet.sampler.pids();
  const { version, bakeUntil } = await publishToCanary('tach');
  await fleet.cluster.nodes[0]?.kill();
  await until('the bake is over', () => Date.now() > bakeUntil);
  assert.equal(changedSince(pids).length, 1);
  await fleet.cluster.restart(0);
  await fleet.ends(version, 'completed');
  await assertEverywhere(version, 'tach');
  assert.equal(fleet.sampler.mostDown(), 1);
});
