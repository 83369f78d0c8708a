/**
 * The original's clients at our server: the requests of reuni-cli, reuni-ui and reuni-agent, replayed from the sign-up to
 * a restarted process, with a real Redis. docs/guides/move-from-reuni.md tells the same as a guide.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createEmptyTestDatabase } from '@gatehouse/testkit';
import { startRedis, type TestRedis } from '../src/testing/redis-server.ts';
import { until } from './support/conditions.ts';
import { freePort, type Program, processesOf, startProgram } from './support/programs.ts';
import { createReuniCli, createReuniUi, send, startPrefixProxy } from './support/reuni-clients.ts';

const password = 'quiet lantern over nine hills';

describe('Reuni’s own clients', () => {
  let folder: string;
  let redis: TestRedis;
  let database: Awaited<ReturnType<typeof createEmptyTestDatabase>>;
  let startServer: () => Promise<Program>;
  let server: Program;
  let proxy: Server;
  let agent: Program | undefined;
  let url: string;
  let cli: ReturnType<typeof createReuniCli>;
  let ui: ReturnType<typeof createReuniUi>;
  const bobId = async (): Promise<number> =>
    (await ui.page('/users')).json.find((user: { username: string }) => user.username === 'bob').id;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-reuni-'));
    redis = await startRedis();
    database = await createEmptyTestDatabase();
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const env = {
      GATEHOUSE_PORT: String(port),
      GATEHOUSE_DATABASE_URL: database.connectionString,
      GATEHOUSE_DATA_DIR: folder,
      GATEHOUSE_ROOT_KEY: randomBytes(32).toString('base64url'),
      GATEHOUSE_LOG_LEVEL: 'warn',
      GATEHOUSE_MODULES: 'reuni',
      GATEHOUSE_REDIS_URL: redis.url,
    };
    const script = 'apps/server/src/main.ts';
    const readyText = /^Gatehouse is ready/m;
    startServer = () => startProgram({ name: 'The server', script, cwd: folder, env, readyText });
    server = await startServer();
    const proxyPort = await freePort();
    proxy = await startPrefixProxy(proxyPort, url);
    cli = createReuniCli(`http://127.0.0.1:${proxyPort}`);
    ui = createReuniUi(`${url}/reuni`);
    // What the agent runs: a process that says which it is and what it was given.
    await writeFile(
      join(folder, 'app.mjs'),
      'process.stdout.write(`pid=${process.pid} COLOR=${process.env.COLOR} SIZE=${process.env.SIZE}\\n`);\nsetInterval(() => {}, 1000);\n',
    );
  });
  after(async () => {
    await agent?.stop();
    proxy?.close();
    await server?.stop();
    await redis?.close();
    await database?.drop();
    await until('nothing is left running', async () => (await processesOf(folder)).size === 0);
    await rm(folder, { recursive: true, force: true });
  });

  it('the command line program: from the sign-up to a service with a namespace', async () => {
    const ann = { name: 'Ann Lee', username: 'ann', password, email: 'ann@example.com' };
    assert.equal(await cli.signUp(ann), 'done');
    assert.match(await cli.signUp(ann), /^HTTP Error 409: ./);
    await cli.login('ann', password);
    assert.deepEqual(await cli.organizationList(), []);
    assert.equal(await cli.organizationCreate('acme'), 'done');
    assert.equal(await cli.organizationCreate('acme'), 'HTTP Error 409: Already Exists');
    assert.match(await cli.organizationCreate('ac me'), /^HTTP Error 400: Organization name should not contain/);
    assert.deepEqual(await cli.organizationList(), [{ id: 1, name: 'acme', role: 'Admin' }]);

    assert.deepEqual(await cli.serviceList('acme'), []);
    assert.equal(await cli.serviceCreate('acme', 'billing'), 'done');
    assert.equal(await cli.serviceCreate('acme', 'billing'), 'HTTP Error 409: Service already exist');
    const [service] = await cli.serviceList('acme');
    assert.equal(service.authorization_token, await cli.serviceToken('acme', 'billing'));
    assert.equal(service.authorization_token.length, 64);

    assert.deepEqual(await cli.namespaceList('acme/billing'), []);
    assert.equal(await cli.namespaceCreate('acme/billing', 'default', { COLOR: 'red', SIZE: '1' }), 'done');
    const again = await cli.namespaceCreate('acme/billing', 'default', { COLOR: 'red' });
    assert.equal(again, 'HTTP Error 409: Namespace already exist for the service');
    assert.equal((await cli.namespaceList('acme/billing'))[0].version, 1);
    assert.deepEqual(await cli.configurationShow('acme/billing/default'), {
      version: 1,
      parent_version: 0,
      configuration: { COLOR: 'red', SIZE: '1' },
      created_by: 'ann',
    });
  });

  it('its token expired: one new token, one more try; a write loses its body and is told so', async () => {
    cli.files.token = `${cli.files.token.slice(0, -4)}AAAA`;
    assert.equal((await cli.organizationList()).length, 1);
    const renewed = cli.files.token;
    cli.files.token = 'expired';
    assert.match(await cli.organizationCreate('lost'), /^HTTP Error 400: The body is empty/);
    assert.notEqual(cli.files.token, renewed);
    cli.files.token = cli.files.refresh;
    assert.equal((await cli.organizationList()).length, 1, 'the refresh token is good as a bearer token');
    cli.files.token = renewed;
  });

  it('the agent: subscribed, the process runs with the configuration, and anew with each version', async () => {
    agent = await startProgram({
      name: 'The agent',
      script: 'apps/server/journeys/support/reuni-agent.ts',
      cwd: folder,
      env: {
        REUNI_HOST: `${url}/reuni`,
        REUNI_ORGANIZATION: 'acme',
        REUNI_SERVICE: 'billing',
        REUNI_NAMESPACE: 'default',
        REUNI_AUTHORIZATION: await cli.serviceToken('acme', 'billing'),
        REUNI_START_COMMAND: process.execPath,
        REUNI_ARGS: join(folder, 'app.mjs'),
        REDIS_HOST: '127.0.0.1',
        REDIS_PORT: String(redis.port),
      },
      readyText: /^app \| pid=\d+ COLOR=red SIZE=1$/m,
    });
    const first = pidOf(agent, 'COLOR=red SIZE=1');
    assert.equal(await cli.configurationSet('acme/billing/default', 'COLOR', 'blue'), 'done');
    await until('the process runs with version 2', () => pidOf(agent, 'COLOR=blue SIZE=1') > 0);
    const second = pidOf(agent, 'COLOR=blue SIZE=1');
    assert.match(agent.output(), /^acme_billing_default 2$/m);
    assert.ok(first !== second && !isAlive(first) && isAlive(second), 'the old process is gone');
    assert.equal(await cli.configurationSet('acme/billing/default', 'SIZE'), 'done');
    await until('version 3 is there', () => /^acme_billing_default 3$/m.test(agent?.output() ?? ''));
    await until('it runs', () => pidsOf(agent, 'COLOR=blue SIZE=1').length === 2);
    assert.deepEqual((await cli.configurationShow('acme/billing/default')).configuration, { COLOR: 'blue' });
    assert.deepEqual(await cli.configurationList('acme/billing/default'), [1, 2, 3]);
  });

  it('the web pages: members, services, versions on top of older ones, comparison', async () => {
    const bob = { name: 'Bob', username: 'bob', password, email: 'bob@example.com' };
    assert.equal((await ui.signUp(bob)).status, 201);
    const wrong = await ui.login('ann', 'wrong');
    assert.deepEqual(wrong.json, { message: 'Wrong username/password', status: 401 });
    assert.equal((await ui.login('ann', password)).status, 200);
    const role = (await ui.page('/organization')).json.find((one: { name: string }) => one.name === 'acme').role;
    assert.equal(role, 'Admin');
    assert.equal((await ui.post('/acme/member', { user_id: await bobId(), role: 'Developer' })).status, 201);
    const members = (await ui.page('/acme/member')).json as { name: string; username: string; role: string }[];
    assert.deepEqual(
      members.map(({ name, username, role }) => [name, username, role]),
      [
        ['Ann Lee', 'ann', 'Admin'],
        ['Bob', 'bob', 'Developer'],
      ],
    );
    const changed = await ui.changeMember('PATCH', 'acme', { user_id: await bobId(), role: 'Auditor' });
    assert.deepEqual([changed.status, changed.body], [200, '200 OK']);

    assert.equal((await ui.post('/acme/services', { name: 'mail' })).status, 201);
    const configurations = { HOST: 'localhost', PORT: '25' };
    const made = await ui.post('/acme/mail/namespaces', { namespace: 'default', configurations });
    assert.deepEqual([made.status, made.body], [201, '201 Created']);
    assert.equal((await ui.page('/acme/mail/token')).json.authorization_token.length, 64);
    const update = (parent_version: number, configuration: object) =>
      ui.post('/acme/mail/default', { configuration, parent_version });
    assert.deepEqual((await update(1, { HOST: 'mail', PORT: '25' })).body, '2');
    assert.deepEqual((await update(1, { HOST: 'mx', PORT: '25', TLS: 'on' })).body, '3');
    assert.deepEqual((await ui.page('/acme/mail/default/versions')).json, { versions: [1, 2, 3] });
    assert.deepEqual((await ui.page('/acme/mail/default/3/compare')).json, {
      'dif-parent-1': [{}, { TLS: 'on' }, { HOST: "from 'localhost' to 'mx'" }],
      'dif-previous-2': [{}, { TLS: 'on' }, { HOST: "from 'mail' to 'mx'" }],
    });
  });

  it('the web pages: a minute passes and the session goes on; errors can be parsed; rights end at once', async () => {
    ui.aMinutePasses();
    assert.equal((await ui.page('/acme/services')).json.length, 2);
    const refused = await ui.post('/acme/services', { name: 'bad name' });
    assert.match(refused.json.message, /^Service name should not contain/);

    const bobs = createReuniUi(`${url}/reuni`);
    await bobs.login('bob', password);
    assert.equal((await bobs.page('/acme/services')).status, 200);
    const write = await bobs.post('/acme/mail/default', { configuration: { A: '1' }, parent_version: 3 });
    assert.deepEqual([write.status, write.json], [403, { message: 'Forbidden', status: 403 }]);
    const removed = await ui.changeMember('DELETE', 'acme', { user_id: await bobId() });
    assert.deepEqual([removed.status, removed.body], [200, '200 OK']);
    assert.equal((await bobs.page('/acme/services')).status, 403);
    assert.deepEqual((await bobs.page('/organization')).json, []);
  });

  it('the server is killed and started again: tokens hold, the agent goes on', async () => {
    await server.kill();
    server = await startServer();
    assert.equal(await cli.configurationSet('acme/billing/default', 'COLOR', 'green'), 'done');
    await until('the process runs with version 4', () => pidOf(agent, 'COLOR=green SIZE=1') > 0);
    assert.ok(isAlive(pidOf(agent, 'COLOR=green SIZE=1')));
    // The channels of the other service are its own.
    assert.ok(!agent?.output().includes('mail'));
  });

  it('a token of another service, or none, opens nothing; a deleted service is gone for its agents', async () => {
    const mail = await cli.serviceToken('acme', 'mail');
    const billing = await cli.serviceToken('acme', 'billing');
    const ask = (path: string, authorization: string) => send('GET', `${url}/reuni${path}`, { authorization });
    assert.equal((await ask('/acme/billing/default/agent', billing)).json.version, 4);
    for (const wrong of [mail, '', 'x', `Bearer ${billing}`]) {
      const answer = await ask('/acme/billing/default/agent', wrong);
      assert.deepEqual([answer.status, answer.json], [403, { message: 'Forbidden', status: 403 }]);
    }
    assert.deepEqual((await ask('/acme/mail/validatetoken', mail)).json, { valid: true });
    assert.deepEqual((await ask('/acme/mail/validatetoken', billing)).json, { valid: false });
    assert.equal(await cli.serviceDelete('acme', 'mail'), 'done');
    assert.equal((await ask('/acme/mail/default/agent', mail)).status, 403);
    assert.equal((await ask('/acme/mail/validatetoken', mail)).status, 404);
  });
});

function pidsOf(program: Program | undefined, what: string): number[] {
  const lines = (program?.output() ?? '').matchAll(/^app \| pid=(\d+) (.*)$/gm);
  return [...lines].filter((match) => match[2] === what).map((match) => Number(match[1]));
}

function pidOf(program: Program | undefined, what: string): number {
  return pidsOf(program, what).at(-1) ?? 0;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
