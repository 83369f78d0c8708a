/**
 * A thousand enrolled agents wait for the next version when their server is killed. All go on, come back by themselves,
 * and get what was published meanwhile; the server that comes up has nothing but good answers for them.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createAgentIdentity, createFollower, type Follower } from '@gatehouse/sdk';
import { administrator, signIn } from './support/client.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import { until } from './support/conditions.ts';

const count = 1000;
/** Enrolling at once: an agent writes its keys to the disk before the server hears of them. */
const enrolling = 40;

let cluster: Cluster;
let folder: string;
const followers: Follower[] = [];
const versions: number[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-agents-'));
  cluster = await startCluster({ count: 1, logLevel: 'warn' });
});
after(async () => {
  await Promise.all(followers.map((follower) => follower.close()));
  await cluster.close();
  await rm(folder, { recursive: true });
});

async function administer() {
  const url = cluster.publicUrl;
  const admin = administrator((await signIn(url, cluster.operator)).access_token, 'acme');
  return async (method: string, path: string, body: object, status = 201) => {
    const answer = await admin(method, `${url}/v1/${path}`, body);
    assert.equal(answer.status, status, answer.body);
    return answer.json<Record<string, unknown>>();
  };
}

const publish = async (parent_version: number, value: string) =>
  (await administer())('POST', 'services/billing/default', { parent_version, configuration: { VALUE: value } });

async function startAgent(index: number, serviceToken: string): Promise<void> {
  const identity = await createAgentIdentity({
    url: cluster.publicUrl,
    service: 'acme.billing',
    stateDir: join(folder, String(index)),
    name: `light-${index}`,
    serviceToken,
    enrolSeconds: 60,
  });
  const follower = createFollower({
    identity,
    namespaces: ['default'],
    apply: ({ version }) => {
      versions[index] = version;
    },
  });
  followers[index] = follower;
  await follower.ready;
}

test('a thousand agents through a kill and a restart of their server', { timeout: 600_000 }, async (t) => {
  const ask = await administer();
  const token = (await signIn(cluster.publicUrl, cluster.operator)).access_token;
  const made = await administrator(token)('POST', `${cluster.publicUrl}/v1/organizations`, { name: 'acme' });
  assert.equal(made.status, 201, made.body);
  await ask('POST', 'services', { name: 'billing' });
  const configuration = { VALUE: 'one' };
  await ask('POST', 'services/namespaces', { service: 'billing', namespace: 'default', configuration });
  const { authorization_token } = await ask('POST', 'services/billing/tokens', {});

  let next = 0;
  const begun = performance.now();
  const enrol = async () => {
    for (let index = next++; index < count; index = next++) await startAgent(index, authorization_token as string);
  };
  await Promise.all(Array.from({ length: enrolling }, enrol));
  t.diagnostic(`${count} agents enrolled in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  const has = (version: number) => versions.filter((one) => one === version).length;
  assert.equal(has(1), count);

  await publish(1, 'two');
  await until('all have version 2', () => has(2) === count, 60);

  await cluster.nodes[0]?.kill();
  const away = () => followers.filter((follower) => follower.status('default').state === 'away').length;
  await until('all have noticed', () => away() === count, 60);
  assert.equal(has(2), count, 'nobody has lost what it had');
  await cluster.restart(0);
  const restarted = performance.now();
  await publish(2, 'three');
  const back: number[] = [];
  await until(
    'all have version 3',
    () => {
      back.push(has(3));
      return has(3) === count;
    },
    180,
  );
  t.diagnostic(`all have the next version ${((performance.now() - restarted) / 1000).toFixed(1)} s after the restart`);
  // They come back one by one, not in one moment: on the way, some have it and some do not yet.
  assert.ok(new Set(back.filter((number) => number > 0 && number < count)).size >= 3, back.join());
  assert.equal(away(), 0);
  assert.doesNotMatch(cluster.output(), /"msg":"request failed"/);
});
