/** Six agents with real programs: a rollout never takes two down, a bad version comes back, a killed server changes nothing. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { launcher, operator, type ServerUnderTest, startServer } from './session.ts';

let server: ServerUnderTest;
const agents: ChildProcess[] = [];
const size = 6;

/**
 * Writes down when it is up and when it goes down. The clock of `hrtime` is one for all processes of a machine, and short
 * lines are appended whole.
 */
const program = `
import { appendFileSync } from 'node:fs';
const { NAME, GREETING } = process.env;
const note = (what) => appendFileSync('events', what + ' ' + NAME + ' ' + GREETING + ' ' + process.hrtime.bigint() + '\\n');
process.on('SIGTERM', () => { note('down'); process.exit(0); });
if (GREETING === 'boom') { note('crashed'); process.exit(1); }
note('up');
setInterval(() => {}, 1e9);
`;

before(async () => {
  server = await startServer();
  const said = async (args: string, stdin?: string) => {
    const { code, stdout, stderr } = await server.gatehouse(args, stdin === undefined ? {} : { stdin });
    assert.equal(code, 0, `${args}\n${stdout}${stderr}`);
    return stdout.trim();
  };
  await said(`login --username ${operator.username} --password-file -`, `${operator.password}\n`);
  await writeFile(join(server.folder, 'gatehouse.yaml'), 'organizations: { acme: { services: { billing: {} } } }\n');
  await writeFile(join(server.folder, 'program.mjs'), program);
  await writeFile(join(server.folder, 'events'), '');
  await said('apply -f gatehouse.yaml');
  await said('config create acme.billing -f - --format json', JSON.stringify({ GREETING: 'hello' }));
  const { authorization_token: token } = await api<{ authorization_token: string }>('POST', 'tokens', {});
  for (let number = 1; number <= size; number += 1) agents.push(startAgent(`web-${number}`, token));
  await until('all are healthy', async () => (await healthyOn(1)) === size);
});
after(async () => {
  const ends = agents.filter((one) => one.exitCode === null && one.signalCode === null).map((one) => once(one, 'exit'));
  for (const agent of agents) agent.kill('SIGTERM');
  await Promise.all(ends);
  await server.stop();
});

function startAgent(name: string, token: string): ChildProcess {
  const options = ['--name', name, '--state-dir', join(server.folder, name), '--settle', '300ms'];
  const args = ['run', '--service', 'acme.billing', ...options, '--', process.execPath, 'program.mjs'];
  return spawn(process.execPath, [launcher, ...args], {
    cwd: server.folder,
    stdio: 'ignore',
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: server.folder,
      GATEHOUSE_URL: server.url,
      GATEHOUSE_SERVICE_TOKEN: token,
      NAME: name,
    },
  });
}

/** A request below `/v1/services/billing/`, in the name of the login. */
async function api<T>(method: string, path: string, body?: object): Promise<T> {
  const { logins } = JSON.parse(await readFile(join(server.folder, 'config', 'credentials.json'), 'utf8')) as {
    logins: Record<string, { access_token: string }>;
  };
  const answer = await fetch(`${server.url}/v1/services/billing/${path}`, {
    method,
    headers: {
      authorization: `Bearer ${logins[server.url]?.access_token}`,
      'gatehouse-organization': 'acme',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

interface Rollout {
  readonly state: string;
  readonly reason?: string;
  readonly counts: Readonly<Record<string, number>>;
}
const rollout = (version: number) => api<Rollout>('GET', `default/rollouts/${version}`);

async function healthyOn(version: number): Promise<number> {
  const { items } = await api<{ items: { state: string; running_version?: number }[] }>('GET', 'instances');
  return items.filter((one) => one.state === 'healthy' && one.running_version === version).length;
}

async function publish(greeting: string): Promise<number> {
  const { version } = await api<{ version: number }>('GET', 'default/latest');
  const body = { parent_version: version, configuration: { GREETING: greeting } };
  return (await api<{ version: number }>('POST', 'default', body)).version;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 120_000; !(await holds()); await sleep(50)) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
  }
}

/** What the programs wrote down, in the order in which it happened. */
async function events(): Promise<{ what: string; name: string; greeting: string }[]> {
  const lines = (await readFile(join(server.folder, 'events'), 'utf8')).trim().split('\n');
  return lines
    .map((line) => line.split(' ') as [string, string, string, string])
    .sort((a, b) => Number(BigInt(a[3]) - BigInt(b[3])))
    .map(([what, name, greeting]) => ({ what, name, greeting }));
}

/** The most programs that were down at one time, once all had been up. */
async function mostDown(): Promise<number> {
  const up = new Set<string>();
  let all = false;
  let most = 0;
  for (const { what, name } of await events()) {
    if (what === 'up') up.add(name);
    else up.delete(name);
    all ||= up.size === size;
    if (all) most = Math.max(most, size - up.size);
  }
  return most;
}

test('a version reaches six instances, one after the other', async () => {
  assert.equal(await publish('moin'), 2);
  await until('version 2 is everywhere', async () => (await rollout(2)).state === 'completed');
  assert.equal((await events()).filter((one) => one.what === 'up' && one.greeting === 'moin').length, size);
  assert.equal(await mostDown(), 1);
});

test('the first instance that cannot live with a version is the only one that ever gets it', async () => {
  assert.equal(await publish('boom'), 3);
  await until('version 4 is everywhere', async () => {
    const { state } = await rollout(3);
    return state === 'stopped' && (await rollout(4)).state === 'completed';
  });
  assert.match((await rollout(3)).reason ?? '', /exit code 1.*Version 4 has the content of version 2\.$/);
  const hit = (await events()).filter((one) => one.greeting === 'boom').map((one) => one.name);
  assert.equal(new Set(hit).size, 1, hit.join());
  assert.equal(await healthyOn(4), size);
  assert.equal(await mostDown(), 1);
});

test('the server is killed in the middle of a rollout: every program goes on, and so does the rollout', async () => {
  assert.equal(await publish('servus'), 5);
  await until('one has it', async () => ((await rollout(5)).counts['done'] ?? 0) >= 1);
  const before = (await events()).length;
  await server.down('SIGKILL');
  await server.up();
  const { state } = await rollout(5);
  assert.equal(state, 'running');
  await until('version 5 is everywhere', async () => (await rollout(5)).state === 'completed');
  assert.ok((await events()).length > before);
  assert.ok(agents.every((agent) => agent.exitCode === null));
  assert.equal(await mostDown(), 1);
});
