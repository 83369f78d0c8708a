/**
 * The SDK's configuration client against a real server on a real database: enrolment, following, secrets, rollouts,
 * rotation of keys on both sides, the server killed and started again, revocation.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import {
  type Configuration,
  type ConfigurationOptions,
  createAgentIdentity,
  createConfiguration,
  createFollower,
  isGatehouseError,
} from '@gatehouse/sdk';
import { type Administrator, administrator, createService, signIn } from './support/client.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import { until } from './support/conditions.ts';
import type { Answer } from './support/http.ts';

type Values = Record<string, unknown>;

describe('the configuration client', () => {
  let cluster: Cluster;
  let url: string;
  let folder: string;
  let admin: Administrator;
  let operator: Administrator;
  let count = 0;
  const running = new Set<Configuration<Values>>();

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-client-'));
    cluster = await startCluster({ count: 1 });
    url = cluster.publicUrl;
    const { access_token: token } = await signIn(url, cluster.operator);
    operator = administrator(token);
    admin = administrator(token, 'acme');
    assert.equal((await operator('POST', `${url}/v1/organizations`, { name: 'acme' })).status, 201);
  });
  afterEach(async () => {
    for (const each of running) await each.close();
    running.clear();
  });
  after(async () => {
    await cluster?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** A service of its own with one namespace, and what its instances start with. */
  async function newService(configuration: object, policy?: object) {
    const service = `billing-${(count += 1)}`;
    await createService(url, admin, service, {});
    const body = { service, namespace: 'default', configuration };
    const made = await admin('POST', `${url}/v1/services/namespaces`, body);
    assert.equal(made.status, 201, made.body);
    if (policy !== undefined) {
      const set = await admin('PUT', `${url}/v1/services/${service}/rollout-policy`, policy);
      assert.ok(set.status < 300, set.body);
    }
    const base = `${url}/v1/services/${service}`;
    return {
      service,
      base,
      async publish(next: object): Promise<number> {
        const latest = (await admin('GET', `${base}/default/latest`)).json<{ version: number }>().version;
        const answer = await admin('POST', `${base}/default`, { parent_version: latest, configuration: next });
        assert.equal(answer.status, 201, answer.body);
        return answer.json<{ version: number }>().version;
      },
      async enrolmentToken(): Promise<string> {
        const answer = await admin('POST', `${base}/enrolment-tokens`, {});
        assert.equal(answer.status, 201, answer.body);
        return answer.json<{ enrolment_token: string }>().enrolment_token;
      },
      async instances(): Promise<{ state: string; version: number; agent_id: string; reason?: string }[]> {
        return (await admin('GET', `${base}/instances?namespace=default`)).json<{ items: never[] }>().items;
      },
      rollout: async (version: number): Promise<{ state: string }> =>
        (await admin('GET', `${base}/default/rollouts/${version}`)).json<{ state: string }>(),
    };
  }

  function start(service: string, more: Partial<ConfigurationOptions<Values>> = {}): Configuration<Values> {
    const configuration = createConfiguration<Values>({
      url,
      service: `acme.${service}`,
      namespace: 'default',
      stateDir: join(folder, `${service}-${(count += 1)}`),
      backOff: { baseSeconds: 0.05, capSeconds: 0.5 },
      ...more,
    });
    running.add(configuration);
    return configuration;
  }
  const ok = (answer: Answer) => assert.ok(answer.status < 300, answer.body);

  it('enrols, reads secrets, follows, and is seen', async () => {
    const t = await newService({ HOST: 'a', PASS: { $secret: 'canary-of-the-client' } });
    const stateDir = join(folder, `${t.service}-state`);
    const enrolmentToken = await t.enrolmentToken();
    const configuration = start(t.service, { stateDir, enrolmentToken });
    await configuration.ready;
    assert.deepEqual({ ...configuration.values }, { HOST: 'a', PASS: 'canary-of-the-client' });
    const heard: number[] = [];
    configuration.onChange(({ version }) => {
      heard.push(version);
    });
    await t.publish({ HOST: 'b', PASS: { $secret: 'canary-of-the-client-2' } });
    await until('the change is in use', () => configuration.get('HOST') === 'b');
    assert.equal(configuration.get('PASS'), 'canary-of-the-client-2');
    await until('the rollout is completed', async () => (await t.rollout(2)).state === 'completed');
    assert.deepEqual(heard, [2]);
    const [instance] = await t.instances();
    assert.deepEqual([instance?.state, instance?.version], ['healthy', 2]);
    // Nothing of it lies in the open.
    for (const name of await readdir(stateDir)) {
      const text = (await readFile(join(stateDir, name))).toString('latin1');
      assert.ok(!text.includes('canary') && !text.includes(enrolmentToken), name);
    }
    // The token is good for one agent.
    const second = start(t.service, { enrolmentToken });
    await assert.rejects(second.ready, (error) => isGatehouseError(error, 'agent_refused'));
    await configuration.close();
    await until('it is seen to have stopped', async () => (await t.instances())[0]?.state === 'stopped');
  });

  it('refuses values that do not fit; the server brings the old ones back as a new version', async () => {
    const t = await newService({ PORT: 1 });
    const schema = { type: 'object', properties: { PORT: { type: 'integer' } } };
    const configuration = start(t.service, { enrolmentToken: await t.enrolmentToken(), schema });
    await configuration.ready;
    await until('it is seen', async () => (await t.instances())[0]?.state === 'healthy');
    await until('the first rollout is completed', async () => (await t.rollout(1)).state === 'completed');
    await t.publish({ PORT: 'one' });
    await until('version 3 restores version 1', () => configuration.version === 3);
    assert.equal(configuration.get('PORT'), 1);
    const third = (await admin('GET', `${t.base}/default/3`)).json<{ kind: string; restores: number }>();
    assert.deepEqual([third.kind, third.restores], ['automatic_rollback', 1]);
  });

  it('takes turns: never more than max_unavailable at a time', async () => {
    const t = await newService({ A: 1 }, { max_unavailable: 1, canary_percent: 0, bake_seconds: 0 });
    let down = 0;
    let most = 0;
    const all = await Promise.all(
      [1, 2, 3].map(async () => {
        const configuration = start(t.service, {
          enrolmentToken: await t.enrolmentToken(),
          isHealthy: () => {
            down -= down > 0 ? 1 : 0;
            return true;
          },
        });
        await configuration.ready;
        configuration.onChange(async () => {
          down += 1;
          most = Math.max(most, down);
          await new Promise((resolve) => {
            setTimeout(resolve, 100);
          });
        });
        return configuration;
      }),
    );
    await until('all are seen', async () => (await t.rollout(1)).state === 'completed');
    await t.publish({ A: 2 });
    await until('all have it', () => all.every((each) => each.version === 2), 30);
    await until('the rollout is completed', async () => (await t.rollout(2)).state === 'completed');
    assert.equal(most, 1);
  });

  it('rotates its keys, and follows the rotation of the keys that sign', async () => {
    const t = await newService({ A: 1, PASS: { $secret: 'one' } });
    const options = { url, service: t.service, stateDir: join(folder, `${t.service}-keys`) };
    const identity = await createAgentIdentity({ ...options, enrolmentToken: await t.enrolmentToken() });
    const follower = createFollower({ identity, namespaces: ['default'], apply: () => undefined });
    try {
      await follower.ready;
      const list = async () => (await admin('GET', `${t.base}/agents`)).json<{ items: { signature_kid: string }[] }>();
      const [known] = (await list()).items;
      await identity.rotateKeys();
      const [now] = (await list()).items;
      assert.ok(known && now && known.signature_kid !== now.signature_kid);
      await t.publish({ A: 2, PASS: { $secret: 'two' } });
      await until('it goes on with the new keys', () => follower.current('default')?.values.PASS === 'two');
      const restarted = await createAgentIdentity(options);
      assert.ok(await restarted.accessToken());
      const rings = (await operator('GET', `${url}/v1/keyrings`)).json<{ items: { name: string; id?: string }[] }>();
      const ring = rings.items.find(({ name }) => name === 'configuration');
      assert.ok(ring, JSON.stringify(rings));
      ok(await operator('POST', `${url}/v1/keyrings/${ring.id ?? ring.name}/rotate`, { force: true }));
      await t.publish({ A: 3, PASS: { $secret: 'three' } });
      await until('it knows the new key', () => follower.current('default')?.version === 3, 30);
    } finally {
      await follower.close();
    }
  });

  it('goes on while the server is killed, starts without it, and catches up', async () => {
    const t = await newService({ A: 1, PASS: { $secret: 'kept' } });
    const stateDir = join(folder, `${t.service}-outage`);
    const first = start(t.service, { stateDir, enrolmentToken: await t.enrolmentToken() });
    await first.ready;
    await cluster.nodes[0]?.kill();
    await until('it knows', () => first.status()?.state === 'away');
    assert.equal(first.get('PASS'), 'kept');
    await first.close();
    const second = start(t.service, { stateDir });
    await second.ready;
    assert.deepEqual([second.get('PASS'), second.status()?.source], ['kept', 'copy']);
    await cluster.restart(0);
    await until('it is back', () => second.status()?.state === 'current');
    await t.publish({ A: 2, PASS: { $secret: 'kept' } });
    await until('it has caught up', () => second.get('A') === 2);
    const [instance, ...more] = await t.instances();
    assert.equal(more.length, 0, 'the same agent');
    assert.ok(instance);
  });

  it('ends at once when it is revoked, and cannot come back', async () => {
    const t = await newService({ A: 1, PASS: { $secret: 'gone' } });
    const stateDir = join(folder, `${t.service}-revoked`);
    const configuration = start(t.service, { stateDir, enrolmentToken: await t.enrolmentToken() });
    await configuration.ready;
    await until('it is seen', async () => (await t.instances()).length === 1);
    const [instance] = await t.instances();
    ok(await admin('DELETE', `${t.base}/agents/${instance?.agent_id}`));
    assert.equal((await configuration.ended)?.code, 'agent_revoked');
    assert.equal(configuration.get('A'), 1);
    assert.deepEqual(
      (await readdir(stateDir)).filter((name) => !name.startsWith('identity')),
      [],
    );
    const again = start(t.service, { stateDir, enrolmentToken: await t.enrolmentToken() });
    await assert.rejects(again.ready, (error) => isGatehouseError(error, 'agent_revoked'));
  });

  it('gets nothing of another service', async () => {
    const t = await newService({ A: 1 });
    const other = await newService({ B: randomBytes(8).toString('hex') });
    const options = { url, service: t.service, stateDir: join(folder, `${t.service}-foreign`) };
    const identity = await createAgentIdentity({ ...options, enrolmentToken: await t.enrolmentToken() });
    const foreign = { ...identity, keysCreatedAt: identity.keysCreatedAt, service: other.service };
    const follower = createFollower({ identity: foreign, namespaces: ['default'], apply: () => undefined });
    await assert.rejects(follower.ready, (error) => isGatehouseError(error, 'agent_refused') && error.status === 404);
    await follower.close();
    const wrong = start(other.service, { enrolmentToken: await t.enrolmentToken() });
    await assert.rejects(wrong.ready, (error) => isGatehouseError(error, 'agent_state_invalid'));
  });
});
