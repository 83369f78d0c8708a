import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { Type } from 'typebox';
import { isGatehouseError } from '../errors.ts';
import { jsonSchema } from '../json-schema.ts';
import { type StandInServer, startStandInServer, until } from '../testing/stand-in-server.ts';
import { type Configuration, type ConfigurationOptions, createConfiguration } from './configuration.ts';
import type { ConfigurationValue } from './configuration-version.ts';
import type { StandardSchema } from './values-schema.ts';

type Values = Record<string, ConfigurationValue>;

describe('createConfiguration', () => {
  let server: StandInServer;
  let root: string;
  let stateDir: string;
  let count = 0;
  const running = new Set<{ close(): Promise<void> }>();
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'gatehouse-configuration-'));
  });
  after(() => rm(root, { recursive: true }));
  beforeEach(async () => {
    server = await startStandInServer();
    stateDir = join(root, `agent-${(count += 1)}`);
  });
  afterEach(async () => {
    for (const each of running) await each.close();
    running.clear();
    await server.close();
  });

  function start<T extends object = Values>(more: Partial<ConfigurationOptions<T>> = {}): Configuration<T> {
    const configuration = createConfiguration<T>({
      url: server.origin,
      service: 'acme.billing',
      namespace: 'default',
      stateDir,
      enrolmentToken: 'once-1',
      backOff: { baseSeconds: 0.01, capSeconds: 0.05 },
      ...more,
    });
    running.add(configuration);
    return configuration;
  }
  const slots = () => server.requests.filter(({ line }) => line.endsWith('/slot')).length;

  it('reads, follows, and tells the server how it goes', async () => {
    server.publish({ HOST: 'a', PASS: { $secret: 'canary' } });
    const configuration = start();
    assert.throws(() => configuration.values, /await ready first/);
    await configuration.ready;
    assert.equal(configuration.get('HOST'), 'a');
    assert.equal(configuration.values.PASS, 'canary');
    assert.equal(configuration.version, 1);
    for (const name of ['constructor', 'toString', '__proto__', 'NOT_THERE']) {
      assert.equal(configuration.get(name), undefined, name);
    }
    const changes: unknown[] = [];
    configuration.onChange(({ version, values, previous, changedKeys }) => {
      assert.equal(configuration.values, values, 'in place already');
      changes.push([version, values.HOST, previous.HOST, changedKeys]);
    });
    server.publish({ HOST: 'b', PASS: { $secret: 'canary' } });
    await until('the change is told', () => changes.length === 1);
    assert.deepEqual(changes, [[2, 'b', 'a', ['HOST']]]);
    await until('all is reported', () => server.reports().length === 6);
    assert.equal(slots(), 1, 'for the change, not for the start');
    await configuration.close();
    assert.equal(configuration.get('HOST'), 'b', 'still readable');
    assert.equal(await configuration.ended, undefined);
    assert.deepEqual(server.reports(), [
      '1 received',
      '1 applied',
      '1 healthy',
      '2 received',
      '2 applied',
      '2 healthy',
      '2 stopped',
    ]);
  });

  it('takes a change over when it is its turn, not before', async () => {
    server.publish({ A: 1 });
    const configuration = start();
    await configuration.ready;
    server.slot = () => ({ granted: false, reason: 'max_unavailable', retry_after: 1 });
    server.publish({ A: 2 });
    await until('it has asked', () => slots() === 1);
    assert.equal(configuration.get('A'), 1);
    // What comes meanwhile takes its place.
    server.slot = (_agent, version) =>
      version === 3
        ? { granted: true, expires_at: '2030-01-01T00:00:00Z' }
        : { granted: false, reason: 'superseded', retry_after: 0 };
    server.publish({ A: 3 });
    await until('the newest is in use', () => configuration.get('A') === 3);
    assert.ok(!server.reports().includes('2 applied'));
    assert.ok(!server.reports().includes('2 rejected'));

    const other = start({ stateDir: `${stateDir}-other`, enrolmentToken: 'once-2', slots: false });
    await other.ready;
    const before = slots();
    server.publish({ A: 4 });
    await until('it does not ask', () => other.get('A') === 4);
    await until('the first one does', () => slots() > before);
  });

  it('refuses values that do not fit a JSON Schema, and says which', async () => {
    const schema = jsonSchema(
      Type.Object({ PORT: Type.Integer({ minimum: 1 }), MODE: Type.Union([Type.Literal('a'), Type.Literal('b')]) }),
    );
    server.publish({ PORT: 8080, MODE: 'a' });
    const configuration = start({ schema });
    await configuration.ready;
    const port: number = configuration.values.PORT;
    const mode: 'a' | 'b' = configuration.get('MODE');
    assert.deepEqual([port, mode], [8080, 'a']);
    server.publish({ PORT: 'canary-port', MODE: { $secret: 'canary-mode' } });
    await until('it is rejected', () => configuration.status()?.state === 'rejected');
    const { reason = '' } = configuration.status()?.rejected ?? {};
    assert.match(reason, /PORT must be .*integer/);
    assert.match(reason, /MODE /);
    assert.doesNotMatch(reason, /canary/);
    assert.equal(configuration.get('PORT'), 8080);
    await until('the server knows', () => server.reports().at(-1) === '2 rejected');
    assert.equal(slots(), 0, 'no slot is wasted on it');
    server.publish({ PORT: 9090, MODE: 'b' });
    await until('the next fits', () => configuration.get('PORT') === 9090);
  });

  it('takes a plain JSON Schema with a type, and any Standard Schema', async () => {
    server.publish({ PORT: '8080' });
    const plain = start<{ PORT: string }>({
      schema: { type: 'object', required: ['PORT'], properties: { PORT: { type: 'string' } } },
    });
    await plain.ready;
    assert.equal(plain.values.PORT.length, 4);
    const numbers: StandardSchema<{ port: number }> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: async (value) => {
          const port = Number((value as { PORT?: string }).PORT);
          return port > 0 ? { value: { port } } : { issues: [{ message: 'is no port', path: [{ key: 'PORT' }] }] };
        },
      },
    };
    const converted = start({ schema: numbers, stateDir: `${stateDir}-other`, enrolmentToken: 'once-2', slots: false });
    await converted.ready;
    assert.equal(converted.get('port'), 8080, 'values as the schema makes them');
    server.publish({ PORT: 'x' });
    await until('it is rejected', () => converted.status()?.rejected !== undefined);
    assert.equal(converted.status()?.rejected?.reason, 'The values do not fit the schema: PORT is no port');
  });

  it('names every key that is missing or too much', async () => {
    server.publish({ EXTRA: 1 });
    const schema = { type: 'object', required: ['A', 'B'], properties: { A: {}, B: {} }, additionalProperties: false };
    const configuration = start({ schema });
    await assert.rejects(configuration.ready, (error) => {
      assert.ok(isGatehouseError(error, 'version_refused'));
      assert.match(error.message, /A/);
      assert.match(error.message, /B/);
      assert.match(error.message, /EXTRA/);
      return true;
    });
    await until('the server knows', () => server.reports().at(-1) === '1 rejected');
  });

  it('is unhealthy when a listener or the health check fails, and stays with the values', async () => {
    server.publish({ A: 1 });
    const errors: unknown[] = [];
    const configuration = start({
      isHealthy: ({ A }) => A !== 3,
      onError: (error) => errors.push(error),
    });
    await configuration.ready;
    const told: unknown[] = [];
    const stop = configuration.onChange(async () => {
      throw new Error('canary: cannot connect');
    });
    configuration.onChange(({ version }) => {
      told.push(version);
    });
    server.publish({ A: 2 });
    await until('it is reported', () => server.reports().at(-1) === '2 unhealthy');
    assert.deepEqual([told, errors.length, configuration.get('A')], [[2], 1, 2]);
    const said = server.requests.at(-1)?.body.reason;
    assert.equal(said, 'A listener failed.', 'no message that could hold a value');
    stop();
    server.publish({ A: 3 });
    await until('it is reported', () => server.reports().at(-1) === '3 unhealthy');
    server.publish({ A: 4 });
    await until('it is well again', () => server.reports().at(-1) === '4 healthy');
  });

  it('starts without token and without server from what it has', async () => {
    server.publish({ A: 1 });
    const first = start();
    await first.ready;
    await first.close();
    await server.goAway();
    const { enrolmentToken: _none, ...rest } = { enrolmentToken: '' };
    const second = start({ ...rest, startSeconds: 5 });
    await second.ready;
    assert.deepEqual([second.get('A'), second.status()?.state], [1, 'away']);
    await server.comeBack();
    await until('it reports what it runs', () => server.reports().at(-1) === '1 healthy');
  });

  it('says why it cannot start', async () => {
    server.publish({ A: 1 });
    const refused = start({ enrolmentToken: 'bad-token' });
    await assert.rejects(refused.ready, (error) => isGatehouseError(error, 'agent_refused'));
    assert.equal(refused.status(), undefined);
    const first = start();
    await first.ready;
    await first.close();
    await rm(join(stateDir, 'copy.default'));
    await server.goAway();
    const late = start({ startSeconds: 0.3 });
    await assert.rejects(late.ready, (error) => {
      assert.ok(isGatehouseError(error, 'server_unavailable'), String(error));
      assert.match(error.message, /no values of default after 0.3 s/);
      return true;
    });
    await server.comeBack();
    await until('it starts all the same', () => late.version === 1);
  });

  it('tells when its agent was revoked', async () => {
    server.publish({ A: 1 });
    const configuration = start();
    await configuration.ready;
    const agent = server.agents.get('agt_1');
    assert.ok(agent);
    agent.revoked = true;
    server.publish({ A: 2 });
    assert.equal((await configuration.ended)?.code, 'agent_revoked');
    assert.equal(configuration.get('A'), 1);
  });

  it('can be closed before it has begun', async () => {
    server.before = () => ({ status: 503 });
    const configuration = start();
    await configuration.close();
    await assert.rejects(configuration.ready, (error) => isGatehouseError(error, 'closed'));
  });
});
