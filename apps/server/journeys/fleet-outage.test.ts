/**
 * A thousand enrolled agents wait for the next version when their server is killed, and find it again some ten seconds
 * later. All go on with what they have, come back by themselves and not all at once, and get what was published.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createAgentIdentity, createFollower, type Follower } from '@gatehouse/sdk';
import { type Administrator, administrator, createService, signIn } from './support/client.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import { until } from './support/conditions.ts';
import { countedRequests, perSecond, readMetrics } from './support/fleet-load.ts';
import { freePort } from './support/programs.ts';

const size = 1000;
/** Enrolling at once: an agent writes its keys to the disk before the server hears of them. */
const enrolling = 40;
/** So often each has to have asked in vain before the server is started again: some ten seconds, by their back-off. */
const failuresBefore = 4;
const observedSeconds = 20;
/** Longest pause between two tries. The default, a minute, spreads them more, and this test over a minute. */
const backOff = { capSeconds: 16 };

let cluster: Cluster;
let folder: string;
let metricsPort: number;
let base: string;
let admin: Administrator;
let serviceToken: string;
const followers: Follower[] = [];
const agentIds: string[] = [];
/** The version that each has, and every problem it told of. */
const versions: number[] = [];
const problems: string[][] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-agents-'));
  metricsPort = await freePort();
  const env = { GATEHOUSE_METRICS_PORT: String(metricsPort) };
  cluster = await startCluster({ count: 1, logLevel: 'debug', env });
  const url = cluster.publicUrl;
  const { access_token: token } = await signIn(url, cluster.operator);
  const made = await administrator(token)('POST', `${url}/v1/organizations`, { name: 'acme' });
  assert.equal(made.status, 201, made.body);
  admin = administrator(token, 'acme');
  await createService(url, admin, 'billing', {});
  base = `${url}/v1/services/billing`;
  const configuration = { VALUE: 'one' };
  const body = { service: 'billing', namespace: 'default', configuration };
  assert.equal((await admin('POST', `${url}/v1/services/namespaces`, body)).status, 201);
  serviceToken = (await admin('POST', `${base}/tokens`)).json<{ authorization_token: string }>().authorization_token;
});
after(async () => {
  await Promise.all(followers.map((follower) => follower.close()));
  await cluster?.close();
  await rm(folder, { recursive: true });
});

async function startAgent(index: number): Promise<void> {
  const identity = await createAgentIdentity({
    url: cluster.publicUrl,
    service: 'acme.billing',
    stateDir: join(folder, String(index)),
    name: `light-${index}`,
    serviceToken,
    enrolSeconds: 60,
  });
  agentIds[index] = identity.agentId;
  const told: string[] = [];
  problems[index] = told;
  const follower = createFollower({
    identity,
    namespaces: ['default'],
    backOff,
    apply: ({ version }) => {
      versions[index] = version;
    },
    onStatus: ({ error, rejected, copyProblem }) => {
      for (const problem of [error?.code, rejected?.reason, copyProblem]) if (problem !== undefined) told.push(problem);
    },
  });
  followers[index] = follower;
  await follower.ready;
}

async function publish(parent_version: number, value: string): Promise<void> {
  const answer = await admin('POST', `${base}/default`, { parent_version, configuration: { VALUE: value } });
  assert.equal(answer.status, 201, answer.body);
}

const has = (version: number) => versions.filter((one) => one === version).length;
const inState = (state: string) => followers.filter((follower) => follower.status('default').state === state).length;
const areWaiting = async (count: number) =>
  (await readMetrics(metricsPort))('gatehouse_configuration_waiting{kind="poll"}') === count;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
function usedMegabytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed / 1024 / 1024;
}

test('a thousand agents enrol and wait', async (t) => {
  const begun = performance.now();
  let next = 0;
  const enrol = async () => {
    for (let index = next++; index < size; index = next++) await startAgent(index);
  };
  await Promise.all(Array.from({ length: enrolling }, enrol));
  t.diagnostic(`${size} agents enrolled in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  assert.equal(has(1), size);
  await until('all wait', () => areWaiting(size), 60);
});

test('the server is killed and comes back: so do they, one after the other', async (t) => {
  const before = usedMegabytes();
  await cluster.nodes[0]?.kill();
  const killed = performance.now();
  const haveTried = () => followers.every((follower) => follower.status('default').failures >= failuresBefore);
  await until(`each has tried ${failuresBefore} times`, haveTried, 60);
  assert.equal(has(1), size, 'nobody has lost what it had');
  const node = await cluster.restart(0);
  const restarted = Date.now();
  await publish(1, 'two');
  t.diagnostic(`the server was away for ${((performance.now() - killed) / 1000).toFixed(1)} s`);
  await until('all have version 2', () => has(2) === size, 60);
  t.diagnostic(`all have the next version ${((Date.now() - restarted) / 1000).toFixed(1)} s after the restart`);
  await until('all wait', () => areWaiting(size), 60);

  const requests = countedRequests(node.output()).filter(({ route }) => !route.startsWith('/metrics'));
  const ready = /"time":"(?<time>[^"]+)"[^\n]*"msg":"ready"/.exec(node.output())?.groups?.['time'];
  const start = Date.parse(ready ?? '');
  const all = perSecond(requests, start, observedSeconds);
  // The bundle is what each fetches once: so many came back in each second.
  const returned = perSecond(
    requests.filter(({ route }) => route.endsWith('/:version/agent')),
    start,
    observedSeconds,
  );
  t.diagnostic(`requests in each second after the restart: ${all.join(' ')}`);
  t.diagnostic(`agents that came back in each: ${returned.join(' ')}`);
  assert.ok(Math.max(...returned) < size / 2, 'at no time half of them at once');
  assert.ok(returned.filter((count) => count > 0).length >= observedSeconds / 2, 'over many seconds');
  assert.ok(Math.max(...all) < 2 * size, 'few requests for each');
  assert.deepEqual(
    requests.filter(({ status }) => status >= 400),
    [],
  );
  // Each has told that the server was away, and of nothing else; now all is well.
  assert.ok(
    problems.every((told) => told.length >= failuresBefore && told.every((one) => one === 'server_unavailable')),
  );
  assert.equal(inState('current'), size);
  const afterwards = usedMegabytes();
  t.diagnostic(
    `memory in use for ${size} agents: ${before.toFixed(0)} MB before, ${afterwards.toFixed(0)} MB afterwards`,
  );
  assert.ok(afterwards < before * 1.25, 'the outage has left nothing in memory');
});

test('one of them is revoked: its waiting ends at once, nobody else’s does', async (t) => {
  const index = 7;
  const follower = followers[index];
  assert.ok(follower);
  const begun = performance.now();
  const answer = await admin('DELETE', `${base}/agents/${agentIds[index]}`);
  assert.ok(answer.status < 300, answer.body);
  const acknowledged = performance.now();
  assert.equal((await follower.ended)?.code, 'agent_revoked');
  const ended = performance.now();
  t.diagnostic(
    `revoked in ${(acknowledged - begun).toFixed(0)} ms; it knew ${(ended - acknowledged).toFixed(0)} ms after that`,
  );
  assert.equal(inState('ended'), 1);
  await until('the others wait', () => areWaiting(size - 1));
});

test('they leave, and take everything with them', async () => {
  await Promise.all(followers.map((follower) => follower.close()));
  await until('nobody waits', () => areWaiting(0));
  // Connections that their clients have opened in advance hold nothing up.
  await cluster.nodes[0]?.stop();
});
