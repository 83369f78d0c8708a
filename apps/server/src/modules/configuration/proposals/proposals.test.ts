import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type ConfigurationFixture, createConfigurationFixture, pathOf } from '../configuration-fixture.ts';

describe('review', () => {
  let t: ConfigurationFixture;
  let writer: { uid: string; token: string };
  let second: { uid: string; token: string };
  before(async () => {
    t = await createConfigurationFixture();
    await t.acme('POST', '/v1/roles', { name: 'writer', permissions: ['configuration:read', 'configuration:write'] });
    writer = await t.member('wri', ['writer']);
    second = await t.member('sec', ['developer']);
  });
  const path = pathOf('reviewed');
  const propose = (who: { token: string }, configuration: object, parent_version: number, more: object = {}) =>
    t.as(who, 'POST', path, { parent_version, configuration, ...more });
  const publish = (who: { token: string }, id: string) => t.as(who, 'POST', `${path}/proposals/${id}/publish`);
  const secrets = async () =>
    (await t.db.pool.query<{ count: number }>('select count(*)::int as count from configuration.secret_values')).rows[0]
      ?.count;

  it('a namespace under review has no version 1 without a second person, whoever makes it', async () => {
    const made = await t.as(t.admin, 'POST', '/v1/services/namespaces', {
      service: 'billing',
      namespace: 'reviewed',
      review_required: true,
      configuration: { A: 1, PASS: { $secret: 'canary-first' } },
    });
    assert.equal(made.status, 201, made.raw.body);
    assert.equal(made.body.version, 0);
    assert.equal(made.body.proposal.state, 'open');
    const own = await publish(t.admin, made.body.proposal.id);
    assert.equal(own.status, 403);
    assert.equal(own.body.code, 'configuration.same_person');
    const weak = await publish(writer, made.body.proposal.id);
    assert.equal(weak.status, 403);
    assert.match(weak.body.detail, /configuration:publish/);
    const seen = await t.as(second, 'GET', `${path}/proposals/${made.body.proposal.id}`);
    assert.equal(seen.raw.body.includes('canary'), false);
    assert.equal(seen.body.changes.created.A, 1);
    assert.match(seen.body.configuration.PASS.$secret.fingerprint, /^[\w-]{16}$/);
    const published = await publish(second, made.body.proposal.id);
    assert.equal(published.status, 201, published.raw.body);
    assert.equal(published.body.version, 1);
    assert.equal(published.body.created_by, t.admin.uid);
    assert.deepEqual(published.body.cause, { proposal: made.body.proposal.id, approved_by: second.uid });
    const again = await publish(second, made.body.proposal.id);
    assert.equal(again.status, 409);
    assert.equal(again.body.state, 'published');
  });

  it('whoever may write proposes; nobody publishes around the review, not by rollback, not by extends', async () => {
    const proposed = await propose(writer, { A: 2 }, 1, { message: 'two', labels: { ticket: 'OPS-1' } });
    assert.equal(proposed.status, 202, proposed.raw.body);
    assert.equal((await t.as(t.auditor, 'POST', path, { parent_version: 1, configuration: {} })).status, 403);
    for (const who of [t.admin, t.developer]) {
      assert.equal((await propose(who, { A: 3 }, 1)).status, 202);
      assert.equal((await t.as(who, 'POST', `${path}/rollback`, { version: 1 })).status, 202);
    }
    await t.namespace('other', { configuration: { X: 1 } });
    const extended = await t.as(t.admin, 'PATCH', path, { extends: ['other'] });
    assert.equal(extended.status, 409);
    assert.equal(extended.body.code, 'configuration.review_required');
    assert.equal((await t.latest('reviewed')).version, 1);
    const off = await t.as(writer, 'PATCH', path, { review_required: false });
    assert.equal(off.status, 403);
    assert.match(off.body.detail, /configuration:publish/);
    const published = await publish(second, proposed.body.proposal.id);
    assert.equal(published.status, 201, published.raw.body);
    assert.equal(published.body.message, 'two');
    assert.deepEqual(published.body.labels, { ticket: 'OPS-1' });
    assert.equal(Object.hasOwn(published.body.configuration, 'PASS'), false);
  });

  it('when the newest version is another one: 409 with both numbers, and the proposal stays open', async () => {
    const open = (await t.as(t.admin, 'GET', `${path}/proposals?state=open`)).body.items as { id: string }[];
    assert.equal(open.length, 4);
    for (const { id } of open) {
      const answer = await publish(second, id);
      assert.equal(answer.status, 409, answer.raw.body);
      assert.deepEqual([answer.body.parent_version, answer.body.latest_version], [1, 2]);
    }
    const page = await t.as(t.admin, 'GET', `${path}/proposals?state=open&limit=3`);
    assert.equal(page.body.items.length, 3);
    const rest = await t.as(t.admin, 'GET', `${path}/proposals?state=open&limit=3&cursor=${page.body.next_cursor}`);
    assert.deepEqual(
      [...page.body.items, ...rest.body.items].map((item: { id: string }) => item.id),
      open.map((item) => item.id),
    );
  });

  it('withdrawn: by its author or who may publish; the secrets that only it had are gone', async () => {
    const start = await secrets();
    const proposed = await propose(writer, { A: 2, NEW: { $secret: 'canary-new' } }, 2);
    assert.equal(await secrets(), (start ?? 0) + 1);
    const { id } = proposed.body.proposal;
    const reader = await t.member('wri2', ['writer']);
    const denied = await t.as(reader, 'POST', `${path}/proposals/${id}/withdraw`);
    assert.equal(denied.status, 403);
    const withdrawn = await t.as(writer, 'POST', `${path}/proposals/${id}/withdraw`);
    assert.equal(withdrawn.status, 200, withdrawn.raw.body);
    assert.equal(withdrawn.body.proposal.state, 'withdrawn');
    assert.equal(await secrets(), start);
    assert.equal((await publish(second, id)).body.code, 'configuration.proposal_closed');
    // One that kept a secret takes nothing with it.
    await t.as(t.admin, 'PATCH', path, { review_required: false });
    await t.publish('reviewed', { A: 2, KEEP: { $secret: 'canary-keep' } });
    await t.as(t.admin, 'PATCH', path, { review_required: true });
    const { configuration } = await t.latest('reviewed');
    const same = await propose(t.admin, { ...configuration, KEEP: { $secret: 'canary-keep' }, B: 1 }, 3);
    await t.as(t.admin, 'POST', `${path}/proposals/${same.body.proposal.id}/withdraw`);
    const revealed = await t.acme('POST', `${path}/3/reveal`, {});
    assert.deepEqual(revealed.body.values, { KEEP: 'canary-keep' });
  });

  it('a rollback goes by proposal too', async () => {
    const proposed = await t.as(t.developer, 'POST', `${path}/rollback`, { version: 1 });
    assert.equal(proposed.status, 202, proposed.raw.body);
    const detail = await t.as(second, 'GET', `${path}/proposals/${proposed.body.proposal.id}`);
    assert.deepEqual(detail.body.changes.changed, { A: { from: 2, to: 1 } });
    const published = await publish(second, proposed.body.proposal.id);
    assert.equal(published.status, 201, published.raw.body);
    assert.equal(published.body.kind, 'rollback');
    assert.equal(published.body.restores, 1);
  });

  it('a service may propose, but agrees to nothing', async () => {
    const made = await t.acme('POST', '/v1/services', {
      name: 'robot',
      grants: ['client_credentials'],
      account_roles: ['developer'],
    });
    const granted = await t.app.inject({
      method: 'POST',
      url: '/oauth/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({
        grant_type: 'client_credentials',
        scope: 'gatehouse',
        client_id: 'acme.robot',
        client_secret: made.body.client_secret,
      }).toString(),
    });
    const robot = { token: granted.json<{ access_token: string }>().access_token };
    const { version } = await t.latest('reviewed');
    const byPerson = await propose(t.developer, { A: 'p' }, version);
    const refused = await publish(robot, byPerson.body.proposal.id);
    assert.equal(refused.status, 403);
    assert.equal(refused.body.code, 'configuration.same_person');
    const byRobot = await propose(robot, { A: 'r' }, version);
    assert.equal(byRobot.status, 202, byRobot.raw.body);
    assert.equal((await publish(t.developer, byRobot.body.proposal.id)).status, 201);
  });

  it('a schema that was set later asks nothing about the secrets of a proposal', async () => {
    const seen = [];
    for (const guess of ['canary-guess', 'wrong']) {
      const { version } = await t.latest('reviewed');
      const proposed = await propose(t.admin, { A: 1, G: { $secret: 'canary-guess' } }, version);
      await t.as(t.developer, 'PATCH', path, { schema: { properties: { G: { const: guess } } } });
      const { status, body } = await publish(second, proposed.body.proposal.id);
      seen.push([status, body.errors]);
    }
    assert.deepEqual(seen[0], seen[1]);
    await t.as(t.developer, 'PATCH', path, { schema: null });
  });

  it('another namespace and another organization have no such proposal', async () => {
    const [item] = (await t.as(t.admin, 'GET', `${path}/proposals`)).body.items;
    assert.equal((await t.as(t.admin, 'GET', `${pathOf('other')}/proposals/${item.id}`)).status, 404);
    const stranger = await t.member('stranger', ['admin'], 'globex');
    assert.equal((await t.as(stranger, 'GET', `${path}/proposals/${item.id}`)).status, 404);
    assert.equal((await t.as(stranger, 'POST', `${path}/proposals/${item.id}/publish`)).status, 404);
  });

  it('without the right to publish: 403 that names it, or a proposal when asked for', async () => {
    await t.namespace('free', { configuration: { A: 1 } });
    const denied = await t.as(writer, 'POST', pathOf('free'), { parent_version: 1, configuration: { A: 2 } });
    assert.equal(denied.status, 403);
    assert.match(denied.body.detail, /configuration:publish/);
    const proposed = await t.as(writer, 'POST', pathOf('free'), {
      parent_version: 1,
      configuration: { A: 2 },
      propose: true,
    });
    assert.equal(proposed.status, 202, proposed.raw.body);
    const published = await t.as(t.admin, 'POST', `${pathOf('free')}/proposals/${proposed.body.proposal.id}/publish`);
    assert.equal(published.status, 201, published.raw.body);
  });
});
