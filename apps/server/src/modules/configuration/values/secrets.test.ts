/** Who may not see secrets tries every way there is. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type ConfigurationFixture, createConfigurationFixture, pathOf } from '../configuration-fixture.ts';

const canary = 'canary-5b0f3c';

describe('secrets', () => {
  let t: ConfigurationFixture;
  before(async () => {
    t = await createConfigurationFixture();
    const configuration = { HOST: 'a', PASS: { $secret: canary }, OTHER: { $secret: `${canary}-2` } };
    assert.equal((await t.namespace('default', { configuration })).status, 201);
    await t.publish('default', { HOST: 'b' });
  });
  const path = pathOf('default');

  it('are revealed to who may, with an audit entry that names the keys and no value', async () => {
    const whole = await t.as(t.admin, 'POST', `${path}/1/reveal`, { reason: 'on call' });
    assert.deepEqual(whole.body, { version: 1, values: { PASS: canary, OTHER: `${canary}-2` } });
    assert.equal(whole.raw.headers['cache-control'], 'no-store');
    const one = await t.as(t.admin, 'POST', `${path}/1/reveal`, { keys: ['PASS'] });
    assert.deepEqual(one.body.values, { PASS: canary });
    for (const keys of [['HOST'], ['NOTHING'], ['constructor']]) {
      assert.equal((await t.as(t.admin, 'POST', `${path}/1/reveal`, { keys })).status, 404);
    }
    assert.equal((await t.as(t.admin, 'POST', `${path}/9/reveal`, {})).status, 404);
    const { rows } = await t.db.pool.query<{ text: string }>(
      `select e::text as text from audit.entries e where action = 'configuration.revealed'`,
    );
    assert.equal(rows.length, 2);
    assert.match(rows[0]?.text ?? '', /on call/);
    for (const member of [t.developer, t.auditor]) {
      const denied = await t.as(member, 'POST', `${path}/1/reveal`, {});
      assert.equal(denied.status, 403);
      assert.match(denied.body.detail, /configuration:reveal/);
    }
  });

  it('no route shows one to a developer or an auditor', async () => {
    await t.namespace('child', { extends: ['default'], configuration: {} });
    await t.as(t.developer, 'POST', `${path}/rollback`, { version: 1 });
    await t.settled();
    for (const member of [t.developer, t.auditor]) {
      for (const url of [
        '/v1/services/billing/namespaces',
        '/v1/services/billing/child',
        path,
        `${path}/1`,
        `${path}/3`,
        `${path}/versions`,
        `${path}/2/compare`,
        `${path}/3/compare?with=1`,
        `${path}/proposals`,
        `${pathOf('child')}/versions`,
        `${pathOf('child')}/2`,
        `${pathOf('child')}/2/compare`,
      ]) {
        const answer = await t.as(member, 'GET', url);
        assert.equal(answer.status, 200, `${url} ${answer.raw.body}`);
        assert.equal(answer.raw.body.includes(canary), false, url);
        assert.equal(/val_|"salt"/.test(answer.raw.body), false, url);
      }
    }
  });

  it('a fingerprint works at its own key only, and only the one of the parent', async () => {
    const { version, configuration } = await t.latest('default');
    const publish = (changed: object, name = 'default', parent_version = version) =>
      t.as(t.developer, 'POST', pathOf(name), { parent_version, configuration: changed });
    const renamed = await publish({ ...configuration, STOLEN: configuration.PASS });
    assert.equal(renamed.status, 400);
    assert.match(renamed.body.detail, /STOLEN has a fingerprint that is not that of STOLEN/);
    const swapped = await publish({ ...configuration, PASS: configuration.OTHER, OTHER: configuration.PASS });
    assert.equal(swapped.status, 400);
    assert.equal(swapped.body.errors.length, 2);
    const made = await t.as(t.developer, 'POST', '/v1/services/namespaces', {
      service: 'billing',
      namespace: 'thief',
      configuration: { PASS: configuration.PASS },
    });
    assert.equal(made.status, 400);
    assert.match(made.body.detail, /no version before/);
    await t.namespace('thief', { configuration: { PASS: { $secret: 'mine' } } });
    assert.equal((await publish({ PASS: configuration.PASS }, 'thief', 1)).status, 400);
    // Nor does a plain value that looks like a stored one.
    const shape = { $secret: { id: 'val_x', fingerprint: 'A'.repeat(16) } };
    const looks = await publish({ A: shape }, 'thief', 1);
    assert.equal(looks.status, 201, looks.raw.body);
    assert.deepEqual(Object.keys(looks.body.configuration.A.$secret), ['fingerprint'], 'a secret like any other');
    assert.notEqual(looks.body.configuration.A.$secret.fingerprint, 'A'.repeat(16));
  });

  it('a right guess looks like a wrong one to who may not see', async () => {
    const { version, configuration } = await t.latest('default');
    const right = await t.as(t.developer, 'POST', path, {
      parent_version: version,
      configuration: { ...configuration, PASS: { $secret: canary } },
    });
    assert.equal(right.status, 201);
    assert.notDeepEqual(right.body.configuration.PASS, configuration.PASS, 'a new fingerprint although it is the same');
    const seen = await t.as(t.admin, 'POST', path, {
      parent_version: version + 1,
      configuration: { ...right.body.configuration, PASS: { $secret: canary } },
    });
    assert.deepEqual(seen.body.configuration.PASS, right.body.configuration.PASS, 'who may see it is told that it is');
    assert.equal((await t.as(t.admin, 'GET', `${path}/${version + 2}/compare`)).body.changed.PASS, undefined);
  });

  it('another organization finds nothing, whatever it asks', async () => {
    const stranger = await t.member('stranger', ['admin'], 'globex');
    for (const [method, url, payload] of [
      ['GET', path, undefined],
      ['GET', `${path}/1`, undefined],
      ['GET', `${path}/latest`, undefined],
      ['GET', `${path}/versions`, undefined],
      ['GET', `${path}/1/compare`, undefined],
      ['GET', '/v1/services/billing/namespaces', undefined],
      ['POST', `${path}/1/reveal`, {}],
      ['POST', `${path}/rollback`, { version: 1 }],
      ['POST', path, { parent_version: 1, configuration: {} }],
      ['PATCH', path, { shared: true }],
      ['DELETE', path, undefined],
      ['POST', '/v1/services/namespaces', { service: 'billing', namespace: 'x' }],
    ] as const) {
      assert.equal((await t.as(stranger, method, url, payload)).status, 404, `${method} ${url}`);
    }
  });

  it('roles: an auditor reads, a developer publishes, nobody without a token does anything', async () => {
    const { version } = await t.latest('default');
    for (const [method, url, payload] of [
      ['POST', path, { parent_version: version, configuration: {} }],
      ['POST', `${path}/rollback`, { version: 1 }],
      ['PATCH', path, { labels: {} }],
      ['DELETE', path, undefined],
      ['POST', '/v1/services/namespaces', { service: 'billing', namespace: 'y' }],
    ] as const) {
      assert.equal((await t.as(t.auditor, method, url, payload)).status, 403, `${method} ${url}`);
      assert.equal((await t.call(method, url, { payload })).status, 401, `${method} ${url}`);
    }
  });

  it('neither the database nor the log has one in the clear', async () => {
    const { rows } = await t.db.pool.query<{ table: string }>(
      `select table_schema || '.' || table_name as table from information_schema.tables
       where table_schema in ('configuration', 'audit', 'graphile_worker')`,
    );
    for (const { table } of rows) {
      const found = await t.db.pool.query(`select 1 from ${table} x where x::text like '%${canary}%'`);
      assert.equal(found.rows.length, 0, table);
    }
    assert.equal(
      t.logLines.some((line) => line.includes(canary)),
      false,
    );
  });
});
