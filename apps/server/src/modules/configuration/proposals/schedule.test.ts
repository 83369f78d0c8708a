import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { createFakeClock } from '@gatehouse/testkit';
import { type ConfigurationFixture, createConfigurationFixture, pathOf } from '../configuration-fixture.ts';

describe('a publication at a time', () => {
  let t: ConfigurationFixture;
  const at = pathOf('timed');
  const soon = () => {
    t.clock.advance((Date.now() - t.clock.now().getTime()) / 1000);
    return new Date(Date.now() + 800).toISOString();
  };
  const secrets = async () =>
    (await t.db.pool.query<{ count: number }>('select count(*)::int as count from configuration.secret_values')).rows[0]
      ?.count;
  before(async () => {
    // The job runs by the clock of the database, so that of the node has to show the same.
    t = await createConfigurationFixture({ clock: createFakeClock(new Date()) });
    await t.namespace('timed', { configuration: { A: 1 } });
  });
  const state = async (id: string) => (await t.as(t.admin, 'GET', `${at}/proposals/${id}`)).body;

  it('published when it comes, in the name of its author', async () => {
    const scheduled = await t.as(t.developer, 'POST', at, {
      parent_version: 1,
      configuration: { A: 2 },
      publish_at: soon(),
    });
    assert.equal(scheduled.status, 202, scheduled.raw.body);
    assert.equal(scheduled.body.proposal.state, 'scheduled');
    const version = await t.reaches('timed', 2);
    assert.equal(version.created_by, t.developer.uid);
    assert.equal((await state(scheduled.body.proposal.id)).version, 2);
  });

  it('a job waits for its time, and a withdrawn proposal is passed over', async () => {
    const later = new Date(Date.now() + 3_600_000);
    const { admin } = t;
    const scheduled = await t.as(admin, 'POST', at, {
      parent_version: 2,
      configuration: { A: 3 },
      publish_at: later.toISOString(),
    });
    assert.equal(scheduled.status, 202, scheduled.raw.body);
    const { rows } = await t.db.pool.query<{ run_at: Date }>(
      `select run_at from graphile_worker.jobs where task_identifier = 'configuration-publish-proposal'`,
    );
    assert.deepEqual(
      rows.map((row) => row.run_at.toISOString()),
      [later.toISOString()],
    );
    await t.as(admin, 'POST', `${at}/proposals/${scheduled.body.proposal.id}/withdraw`);
    await t.db.pool.query(`update graphile_worker._private_jobs set run_at = now()`);
    await t.db.pool.query(`select graphile_worker.add_job('configuration-publish-proposal', $1::json)`, [
      JSON.stringify({ proposal: scheduled.body.proposal.id }),
    ]);
    await t.settled();
    assert.equal((await t.latest('timed')).version, 2);
    for (const publish_at of ['2020-01-01T00:00:00Z', '2099-01-01T00:00:00Z']) {
      const answer = await t.as(admin, 'POST', at, { parent_version: 2, configuration: {}, publish_at });
      assert.equal(answer.status, 400);
      assert.equal(answer.body.errors[0].field, 'publish_at');
    }
  });

  it('what cannot be published then has failed, and says why', async () => {
    const start = await secrets();
    const scheduled = await t.as(t.developer, 'POST', at, {
      parent_version: 2,
      configuration: { A: 4, S: { $secret: 'canary-late' } },
      publish_at: soon(),
    });
    assert.equal(scheduled.status, 202, scheduled.raw.body);
    const quick = await t.as(t.developer, 'POST', at, { parent_version: 2, configuration: { A: 5 } });
    assert.equal(quick.status, 201, quick.raw.body);
    await t.settled();
    const failed = await state(scheduled.body.proposal.id);
    assert.equal(failed.state, 'failed');
    assert.equal(failed.reason.code, 'configuration.version_conflict');
    assert.deepEqual([failed.reason.parent_version, failed.reason.latest_version], [2, 3]);
    assert.equal(await secrets(), start);
    assert.ok((await t.actionsOn('acme.billing/timed')).includes('configuration.proposal_failed'));
  });

  it('with a review it waits for both; a review switched on meanwhile counts', async () => {
    const scheduled = await t.as(t.developer, 'POST', at, {
      parent_version: 3,
      configuration: { A: 6 },
      publish_at: soon(),
    });
    await t.as(t.admin, 'PATCH', at, { review_required: true });
    await t.settled();
    const failed = await state(scheduled.body.proposal.id);
    assert.equal(failed.state, 'failed');
    assert.equal(failed.reason.code, 'configuration.review_required');
    const proposed = await t.as(t.developer, 'POST', at, {
      parent_version: 3,
      configuration: { A: 7 },
      publish_at: soon(),
    });
    assert.equal(proposed.body.proposal.state, 'open');
    const approved = await t.as(t.admin, 'POST', `${at}/proposals/${proposed.body.proposal.id}/publish`);
    assert.equal(approved.status, 202, approved.raw.body);
    assert.equal(approved.body.proposal.state, 'scheduled');
    assert.equal((await t.reaches('timed', 4)).configuration.A, 7);
  });
});
