import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type ConfigurationFixture, createConfigurationFixture, pathOf } from '../configuration-fixture.ts';

describe('inheritance', () => {
  let t: ConfigurationFixture;
  before(async () => {
    t = await createConfigurationFixture();
    for (const name of ['platform', 'shop']) await t.acme('POST', '/v1/services', { name });
  });
  const made = async (name: string, more: object = {}) => {
    const answer = await t.namespace(name, more);
    assert.equal(answer.status, 201, answer.raw.body);
    return answer.body;
  };

  it('gives values of bases, the strongest last, and says where each comes from', async () => {
    await made('platform/common', {
      shared: true,
      configuration: { REGION: 'eu', LEVEL: 'info', TOKEN: { $secret: 'canary-common' } },
    });
    await made('base', { configuration: { LEVEL: 'debug', RETRIES: 3 } });
    const child = await made('child', {
      extends: ['platform/common', 'base'],
      configuration: { RETRIES: 5 },
    });
    assert.deepEqual(child.extends, ['platform/common', 'base']);
    const version = await t.latest('child');
    const { TOKEN, ...plain } = version.configuration;
    assert.deepEqual(plain, { REGION: 'eu', LEVEL: 'debug', RETRIES: 5 });
    assert.deepEqual(version.own, { RETRIES: 5 });
    assert.deepEqual(version.sources, {
      REGION: { kind: 'inherited', namespace: 'platform/common', version: 1 },
      TOKEN: { kind: 'inherited', namespace: 'platform/common', version: 1 },
      LEVEL: { kind: 'inherited', namespace: 'base', version: 1 },
      RETRIES: { kind: 'own' },
    });
    const common = await t.latest('platform/common');
    assert.deepEqual(TOKEN, common.configuration.TOKEN, 'the same fingerprint as in the base');
    const revealed = await t.acme('POST', `${pathOf('child')}/1/reveal`, {});
    assert.deepEqual(revealed.body.values, { TOKEN: 'canary-common' });
  });

  it('a configuration read, changed in one place and written back stays inherited', async () => {
    const before = await t.latest('child');
    await t.publish('child', { ...before.configuration, EXTRA: true });
    const after = await t.latest('child');
    assert.deepEqual(after.own, { RETRIES: 5, EXTRA: true });
    assert.equal(after.sources.TOKEN.kind, 'inherited');
    assert.deepEqual(after.configuration.TOKEN, before.configuration.TOKEN);
  });

  it('a publication in a base publishes all that inherit from it anew, once, and says why', async () => {
    await made('grandchild', { extends: ['child'], configuration: { OWN: 1 } });
    await t.publish('base', { LEVEL: 'warn', RETRIES: 9 });
    const child = await t.reaches('child', 3);
    assert.equal(child.kind, 'refresh');
    assert.deepEqual(child.cause, { namespace: 'billing/base', version: 2 });
    assert.equal(child.created_by, 'configuration');
    assert.equal(child.configuration.LEVEL, 'warn');
    assert.equal(child.configuration.RETRIES, 5, 'its own value is stronger');
    const grandchild = await t.reaches('grandchild', 2);
    assert.deepEqual(grandchild.cause, { namespace: 'billing/child', version: 3 });
    assert.equal(grandchild.configuration.LEVEL, 'warn');
    // What changes nothing there publishes nothing there.
    await t.publish('base', { LEVEL: 'warn', RETRIES: 10 });
    await t.settled();
    assert.equal((await t.latest('child')).version, 3);
    const actions = await t.actionsOn('acme.billing/child');
    assert.equal(actions.filter((action) => action === 'configuration.published').length, 3);
  });

  it('a rollback keeps what was inherited until the base publishes again', async () => {
    await t.publish('base', { LEVEL: 'broken' });
    await t.reaches('child', 4);
    const back = await t.acme('POST', `${pathOf('child')}/rollback`, { version: 3 });
    assert.equal(back.status, 201, back.raw.body);
    assert.equal(back.body.configuration.LEVEL, 'warn');
    // Another cause comes by: the broken value must not come back with it.
    await t.publish('platform/common', { REGION: 'us' });
    const us = await t.reaches('child', 6);
    assert.equal(us.configuration.REGION, 'us');
    assert.equal(us.configuration.LEVEL, 'warn');
    assert.equal(Object.hasOwn(us.configuration, 'TOKEN'), false);
    await t.publish('base', { LEVEL: 'fixed' });
    assert.equal((await t.reaches('child', 7)).configuration.LEVEL, 'fixed');
  });

  it('a change of extends publishes a new version', async () => {
    const changed = await t.acme('PATCH', pathOf('child'), { extends: ['base'] });
    assert.equal(changed.status, 200, changed.raw.body);
    const version = await t.reaches('child', 8);
    assert.deepEqual(version.cause, { settings: ['extends'] });
    assert.equal(Object.hasOwn(version.configuration, 'REGION'), false);
  });

  it('unknown, unshared, foreign and repeated bases are refused in one way', async () => {
    await made('platform/private', { configuration: { A: 1 } });
    const foreign = await t.call('POST', '/v1/services', {
      token: t.operator,
      organization: 'globex',
      payload: { name: 'theirs' },
    });
    assert.equal(foreign.status, 201);
    await t.call('POST', '/v1/services/namespaces', {
      token: t.operator,
      organization: 'globex',
      payload: { service: 'theirs', namespace: 'open', shared: true, configuration: { A: 1 } },
    });
    const rules = new Set<string>();
    for (const name of ['nothing', 'platform/private', 'theirs/open', 'nobody/open']) {
      const answer = await t.acme('PATCH', pathOf('child'), { extends: ['base', name] });
      assert.equal(answer.status, 400, name);
      assert.equal(answer.body.errors[0].field, 'extends.1');
      rules.add(answer.body.errors[0].rule);
    }
    assert.equal(rules.size, 1);
    const twice = await t.acme('PATCH', pathOf('child'), { extends: ['base', 'billing/base'] });
    assert.equal(twice.status, 400);
    assert.match(twice.body.detail, /extends\.1 is there twice/);
  });

  it('cycles and long lines are refused with the way', async () => {
    const cycle = await t.acme('PATCH', pathOf('base'), { extends: ['grandchild'] });
    assert.equal(cycle.status, 400);
    assert.match(cycle.body.detail, /cycle: billing\/base → billing\/grandchild → billing\/child → billing\/base/);
    assert.equal((await t.acme('PATCH', pathOf('base'), { extends: ['base'] })).status, 400);
    for (let level = 0; level < 8; level += 1) {
      await made(`shop/level-${level}`, level === 0 ? {} : { extends: [`level-${level - 1}`] });
    }
    const ninth = await t.namespace('shop/level-8', { extends: ['level-7'] });
    assert.equal(ninth.status, 400);
    assert.match(ninth.body.detail, /a line of 9 namespaces; at most 8/);
    await made('shop/below');
    const below = await t.acme('PATCH', pathOf('shop/level-0'), { extends: ['below'] });
    assert.equal(below.status, 400, 'also from below');
  });

  it('two that would make a cycle together: one is refused, nobody gets a 500', async () => {
    for (let round = 0; round < 5; round += 1) {
      await made(`shop/left-${round}`);
      await made(`shop/right-${round}`);
      const answers = await Promise.all([
        t.acme('PATCH', pathOf(`shop/left-${round}`), { extends: [`right-${round}`] }),
        t.acme('PATCH', pathOf(`shop/right-${round}`), { extends: [`left-${round}`] }),
      ]);
      assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200, 400]));
    }
  });

  it('what others extend cannot be deleted or taken back; a race ends clean', async () => {
    const used = await t.acme('DELETE', pathOf('base'));
    assert.equal(used.status, 409);
    assert.equal(used.body.code, 'configuration.namespace_in_use');
    assert.match(used.body.detail, /billing\/child/);
    await made('shop/user', { extends: ['platform/common'] });
    const unshared = await t.acme('PATCH', pathOf('platform/common'), { shared: false });
    assert.equal(unshared.status, 409);
    assert.match(unshared.body.detail, /shop\/user extends platform\/common/);
    const service = await t.acme('DELETE', '/v1/services/platform');
    assert.equal(service.status, 409, service.raw.body);
    assert.match(service.body.detail, /shop\/user extends platform\/common/);
    for (let round = 0; round < 5; round += 1) {
      await made(`shop/target-${round}`);
      await made(`shop/source-${round}`);
      const answers = await Promise.all([
        t.acme('DELETE', pathOf(`shop/target-${round}`)),
        t.acme('PATCH', pathOf(`shop/source-${round}`), { extends: [`target-${round}`] }),
      ]);
      const statuses = answers.map((answer) => answer.status);
      assert.ok(['204,400', '409,200'].includes(statuses.join(',')), statuses.join(','));
    }
  });

  it('a service goes with its namespaces, however they extend each other', async () => {
    await t.acme('POST', '/v1/services', { name: 'brief' });
    for (let number = 0; number < 6; number += 1) {
      const bases = Array.from({ length: number }, (_, index) => `n-${index}`);
      await made(`brief/n-${number}`, {
        extends: bases,
        configuration: { [`K${number}`]: { $secret: 'canary-brief' } },
      });
    }
    assert.equal((await t.acme('DELETE', '/v1/services/brief')).status, 204);
    const { rows } = await t.db.pool.query(`select 1 from configuration.namespaces where service = 'brief'`);
    assert.equal(rows.length, 0);
  });

  it('sharing, and extending where it is passed on, take the right to see secrets', async () => {
    const { developer } = t;
    const denied = async (answer: Promise<{ status: number; body: { detail: string } }>) => {
      const { status, body } = await answer;
      assert.equal(status, 403);
      assert.match(body.detail, /configuration:reveal/);
    };
    const create = { service: 'billing', namespace: 'mine', shared: true };
    await denied(t.as(developer, 'POST', '/v1/services/namespaces', create));
    await denied(t.as(developer, 'PATCH', pathOf('platform/private'), { shared: true }));
    // A shared one must not be made to inherit what is not shared.
    await denied(t.as(developer, 'PATCH', pathOf('platform/common'), { extends: ['private'] }));
    await made('platform/middle', { configuration: { M: 1 } });
    assert.equal((await t.acme('PATCH', pathOf('platform/common'), { extends: ['middle'] })).status, 200);
    await denied(t.as(developer, 'PATCH', pathOf('platform/middle'), { extends: ['private'] }));
    assert.equal((await t.as(developer, 'PATCH', pathOf('platform/private'), { labels: { team: 'a' } })).status, 200);
  });
});
