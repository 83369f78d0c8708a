/** Nobody asks, nobody reports, the node that gave the slot is gone: a job looks after leases and bakes all the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@gatehouse/testkit';
import { createFleetFixture, type FleetFixture, type TestAgent } from './fleet-fixture.ts';

/** Makes the job that looks after a namespace due now, and answers when it was. */
async function makeDue(t: FleetFixture, namespaceId: string): Promise<Date> {
  const { rows } = await t.db.pool.query<{ id: string; run_at: Date }>(
    'select id, run_at from graphile_worker.jobs where key = $1',
    [`configuration-settle-rollout ${namespaceId}`],
  );
  assert.equal(rows.length, 1, 'one job for one namespace');
  const [job] = rows;
  await t.db.pool.query('select graphile_worker.reschedule_jobs(array[$1::bigint], run_at := now())', [job?.id]);
  return job?.run_at ?? new Date(0);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await condition())) assert.ok(performance.now() < end, 'the condition did not come true');
}

test('the job ends a lease that nobody reported on, and a bake that is over', async () => {
  const t = await createFleetFixture({ clock: createFakeClock(new Date()) });
  const fleet = await t.fleet('billing', ['web-1', 'web-2'], { lease_seconds: 600, bake_seconds: 900 });
  const [one, two] = fleet.agents as [TestAgent, TestAgent];
  const namespaceId = await fleet.namespaceId();
  const begun = t.clock.now().getTime();
  await fleet.publish('two');
  await one.slot(2);
  t.clock.advance(601);
  assert.equal((await makeDue(t, namespaceId)).getTime(), begun + 601_000);
  await until(async () => (await fleet.rollout(2)).state === 'stopped');
  assert.equal((await fleet.rollout(3)).state, 'running');

  await one.take(3);
  await two.report(3, 'healthy');
  assert.equal((await fleet.rollout(3)).phase, 'final_bake');
  t.clock.advance(901);
  await makeDue(t, namespaceId);
  await until(async () => (await fleet.rollout(3)).state === 'completed');
});
