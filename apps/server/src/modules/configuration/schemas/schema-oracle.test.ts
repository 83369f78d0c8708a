// oxlint-disable no-thenable -- `then` is a keyword of JSON Schema
/** Somebody who may write schemas and publish, but not see secrets, tries to find one out. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type ConfigurationFixture, createConfigurationFixture, pathOf } from '../configuration-fixture.ts';

describe('a schema', () => {
  let t: ConfigurationFixture;
  before(async () => {
    t = await createConfigurationFixture();
    await t.namespace('base', { configuration: { TOKEN: { $secret: 'inherited' } } });
    await t.namespace('default', {
      extends: ['base'],
      configuration: { PORT: 80, PASS: { $secret: 'kept' }, CLIENT: { $client: 'secret' } },
    });
  });
  const set = async (schema: object | null) => {
    const answer = await t.as(t.developer, 'PATCH', pathOf('default'), { schema });
    assert.equal(answer.status, 200, answer.raw.body);
    await t.settled();
  };
  const publish = async (change: object = {}) => {
    const { version, configuration } = await t.latest('default');
    return t.as(t.developer, 'POST', pathOf('default'), {
      parent_version: version,
      configuration: { ...configuration, ...change },
    });
  };

  it('answers the same for a right and a wrong guess, whatever keyword asks', async () => {
    const asks: ((key: string, guess: object) => object)[] = [
      (key, guess) => ({ properties: { [key]: guess } }),
      (key, guess) => ({ patternProperties: { [`^${key}$`]: guess } }),
      (_key, guess) => ({ properties: { PORT: true }, additionalProperties: { anyOf: [guess, { type: 'integer' }] } }),
      (key, guess) => ({ not: { properties: { [key]: guess } } }),
      (key, guess) => ({ anyOf: [{ properties: { [key]: guess } }, { required: ['NOT_THERE'] }] }),
      (key, guess) => ({ oneOf: [{ properties: { [key]: guess } }, { required: ['PORT'] }] }),
      (key, guess) => ({ if: { properties: { [key]: guess } }, then: { required: ['NOT_THERE'] } }),
      (key, guess) => ({ dependentSchemas: { PORT: { properties: { [key]: guess } } } }),
      (key, guess) => ({ allOf: [{ $ref: '#/$defs/ask' }], $defs: { ask: { properties: { [key]: guess } } } }),
    ];
    const guesses = (value: string) => [
      [{ const: value }, { const: 'wrong' }],
      [{ enum: [value] }, { enum: ['wrong'] }],
      [{ pattern: `^${value.slice(0, 1)}` }, { pattern: '^~' }],
      [{ minLength: 1 }, { minLength: 5000 }],
    ];
    const { body } = await t.acme('POST', `${pathOf('default')}/1/reveal`, {});
    assert.deepEqual(Object.keys(body.values).sort(), ['CLIENT', 'PASS', 'TOKEN']);
    for (const [key, value] of Object.entries(body.values as Record<string, string>)) {
      for (const [index, ask] of asks.entries()) {
        for (const pair of guesses(value).slice(0, index < 2 ? 4 : 1)) {
          const seen: string[] = [];
          for (const guess of pair) {
            await set(ask(key, guess));
            const { status, body: told } = await publish();
            seen.push(`${status} ${told.code} ${JSON.stringify(told.errors)}`);
          }
          assert.equal(seen[0], seen[1], `${key} by ${JSON.stringify(ask(key, pair[0] ?? {}))}`);
        }
      }
    }
    await set(null);
  });

  it('a refresh and a rollback tell as little', async () => {
    for (const guess of ['kept', 'wrong']) {
      await set({ properties: { PASS: { const: guess }, TOKEN: { const: guess } } });
      const { version } = await t.latest('default');
      assert.equal((await t.as(t.developer, 'POST', pathOf('default') + '/rollback', { version })).status, 201);
      const { body: namespace } = await t.as(t.developer, 'GET', pathOf('default'));
      assert.equal(namespace.refresh_problem, undefined);
    }
    await set(null);
  });

  it('checks a secret that is written in this request, and names the path only', async () => {
    await set({ properties: { PASS: { type: 'object', required: ['user'], additionalProperties: { minLength: 3 } } } });
    const refused = await publish({ PASS: { $secret: { canary: 'xy' } } });
    assert.equal(refused.status, 400);
    assert.equal(refused.body.code, 'configuration.schema_violated');
    assert.deepEqual(
      refused.body.errors.map((error: { field: string }) => error.field),
      ['/PASS', '/PASS'],
    );
    assert.equal(/canary|xy/.test(refused.raw.body), false);
    assert.equal((await publish({ PASS: { $secret: { user: 'ada' } } })).status, 201);
    await set(null);
  });

  it('what a base publishes and the schema refuses is not published; the namespace, the audit and a metric say so', async () => {
    await t.publish('base', { LEVEL: 'info' });
    await t.settled();
    await set({ properties: { LEVEL: { enum: ['info', 'warn'] } } });
    const before = await t.latest('default');
    await t.publish('base', { LEVEL: 'canary-level' });
    await t.settled();
    assert.equal((await t.latest('default')).version, before.version);
    const { body: namespace } = await t.acme('GET', pathOf('default'));
    assert.deepEqual(namespace.refresh_problem, {
      code: 'configuration.schema_violated',
      errors: [{ field: '/LEVEL', rule: 'must be equal to one of the allowed values' }],
      cause: { namespace: 'billing/base', version: 3 },
    });
    assert.ok((await t.actionsOn('acme.billing/default')).includes('configuration.refresh_refused'));
    assert.match(await t.metrics.registry.metrics(), /gatehouse_configuration_refresh_refused_total 1/);
    await set(null);
    await t.reaches('default', before.version + 1);
    assert.equal((await t.acme('GET', pathOf('default'))).body.refresh_problem, undefined);
  });
});
