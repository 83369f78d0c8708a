/**
 * Secret values of configurations go in, and arrive in a program that an agent runs. They are looked for everywhere
 * else: what goes over the wire between agent and server (a proxy there keeps every byte), logs, webhooks, the audit
 * trail, every table, the files of the database and of the agent, and every answer to a developer who may not reveal.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createCanaryWatch, type Sighting } from './support/canaries.ts';
import { administrator, createService, createUser, signIn } from './support/client.ts';
import { until } from './support/conditions.ts';
import { type Answer, call } from './support/http.ts';
import { freePort, type Program, processesOf, root, runProgram, startProgram } from './support/programs.ts';
import { type RecordingProxy, startRecordingProxy } from './support/recording-proxy.ts';
import { connectionOf, findInTables } from './support/stored-data.ts';

/** Writes what it was given as environment: of each value only the hash. */
const witness = `const { createHash } = require('node:crypto');
const { writeFileSync, renameSync } = require('node:fs');
const hashes = Object.entries(process.env).map(([k, v]) => [k, createHash('sha256').update(v).digest('hex')]);
writeFileSync('witness.part', JSON.stringify(Object.fromEntries(hashes)));
renameSync('witness.part', 'witness.json');
setInterval(() => {}, 1000);
process.on('SIGTERM', () => process.exit(0));`;

describe('secret values of configurations', () => {
  const canaries = createCanaryWatch();
  const canary = (what: string) => canaries.watch(what, randomBytes(24).toString('base64url'));
  const secrets = {
    shared: canary('inherited secret'),
    password: canary('secret of version 1'),
    next: canary('secret of version 2'),
    nested: canary('secret inside an object'),
    refused: canary('secret of a version that was refused'),
    mistyped: canary('secret in a broken marker'),
  };
  const visible = `visible-${randomBytes(12).toString('hex')}`;
  const operator = { username: 'root-operator', password: randomBytes(18).toString('base64url') };
  const dora = { username: 'dora', password: randomBytes(18).toString('base64url') };
  const told: string[] = [];
  const receiver = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => told.push(chunk.toString()));
    request.on('end', () => response.writeHead(204).end());
  });
  const answers: { label: string; text: string }[] = [];
  let folder: string;
  let url: string;
  let innerUrl: string;
  let server: Program;
  let proxy: RecordingProxy;
  let agent: ChildProcess | undefined;
  let agentSaid = '';
  let token: string;

  const admin = (organization = 'acme') => administrator(token, organization);
  const hashOf = (value: string) => createHash('sha256').update(value).digest('hex');
  const witnessed = async () => {
    const text = await readFile(join(folder, 'witness.json'), 'utf8').catch(() => '{}');
    return JSON.parse(text) as Record<string, string>;
  };
  const publish = async (service: string, parent: number, configuration: object): Promise<Answer> =>
    admin()('POST', `${innerUrl}/v1/services/${service}/default`, { parent_version: parent, configuration });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-configuration-'));
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    const hook = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
    const [port, proxyPort] = [await freePort(), await freePort()];
    innerUrl = `http://127.0.0.1:${port}`;
    proxy = await startRecordingProxy(proxyPort, () => port);
    url = proxy.url;
    server = await startProgram({
      name: 'The server',
      script: 'apps/server/src/main.ts',
      cwd: folder,
      env: {
        GATEHOUSE_PUBLIC_URL: url,
        GATEHOUSE_PORT: String(port),
        GATEHOUSE_DATA_DIR: join(folder, 'data'),
        GATEHOUSE_ADMIN_USERNAME: operator.username,
        GATEHOUSE_ADMIN_PASSWORD: operator.password,
        GATEHOUSE_ALLOW_PRIVATE_NETWORKS: hook,
        GATEHOUSE_LOG_LEVEL: 'debug',
      },
      readyText: /^Gatehouse is ready/m,
    });
    ({ access_token: token } = await signIn(innerUrl, operator));
    const made = await administrator(token)('POST', `${innerUrl}/v1/organizations`, { name: 'acme' });
    assert.equal(made.status, 201, made.body);
    const webhook = await admin()('POST', `${innerUrl}/v1/webhooks`, {
      url: `${hook}/hook`,
      events: ['configuration.*', 'service.*', 'agent.*'],
    });
    assert.equal(webhook.status, 201, webhook.body);
    await createUser(innerUrl, admin(), { ...dora, roles: ['developer'] });
    await createService(innerUrl, admin(), 'platform', {});
    await createService(innerUrl, admin(), 'billing', {});
  });
  after(async () => {
    if (agent && agent.exitCode === null && agent.signalCode === null) {
      agent.kill('SIGKILL');
      await once(agent, 'exit');
    }
    if (server?.isRunning()) await server.stop();
    await proxy?.close();
    receiver.closeAllConnections();
    receiver.close();
    await until('nothing is left running', async () => (await processesOf(folder)).size === 0, 60);
    await rm(folder, { recursive: true, force: true });
  });

  it('go in, and arrive in the program', async () => {
    const base = await admin()('POST', `${innerUrl}/v1/services/namespaces`, {
      service: 'platform',
      namespace: 'common',
      shared: true,
      configuration: { SHARED_TOKEN: { $secret: secrets.shared }, REGION: visible },
    });
    assert.equal(base.status, 201, base.body);
    const own = await admin()('POST', `${innerUrl}/v1/services/namespaces`, {
      service: 'billing',
      namespace: 'default',
      extends: ['platform/common'],
      configuration: {
        DB_PASS: { $secret: secrets.password },
        KEYS: { $secret: { first: secrets.nested } },
        CLIENT_SECRET: { $client: 'secret' },
      },
    });
    assert.equal(own.status, 201, own.body);
    const invitation = await admin()('POST', `${innerUrl}/v1/services/billing/enrolment-tokens`, { name: 'host-1' });
    assert.equal(invitation.status, 201, invitation.body);
    await writeFile(join(folder, 'witness.cjs'), witness);
    await writeFile(join(folder, 'token'), invitation.json<{ enrolment_token: string }>().enrolment_token, {
      mode: 0o600,
    });
    agent = spawn(
      process.execPath,
      [
        join(root, 'apps/cli/src/main.ts'),
        'run',
        '--service=acme.billing',
        `--state-dir=${join(folder, 'state')}`,
        '--verbose',
        `--enrolment-token-file=${join(folder, 'token')}`,
        '--settle=500ms',
        '--',
        process.execPath,
        'witness.cjs',
      ],
      {
        cwd: folder,
        env: { PATH: process.env['PATH'] ?? '', HOME: folder, GATEHOUSE_URL: url },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    agent.stdout?.on('data', (chunk: Buffer) => (agentSaid += chunk.toString()));
    agent.stderr?.on('data', (chunk: Buffer) => (agentSaid += chunk.toString()));
    await until(
      'the program has its environment',
      async () => {
        assert.equal(agent?.exitCode, null, agentSaid);
        return Object.hasOwn(await witnessed(), 'DB_PASS');
      },
      60,
    );
    const seen = await witnessed();
    assert.equal(seen['DB_PASS'], hashOf(secrets.password));
    assert.equal(seen['SHARED_TOKEN'], hashOf(secrets.shared));
    assert.equal(seen['KEYS'], hashOf(JSON.stringify({ first: secrets.nested })));
    assert.ok(seen['CLIENT_SECRET'], 'the managed client secret is there');

    const shown = await admin()('GET', `${innerUrl}/v1/services/billing/default/1`);
    const { own: written, configuration } = shown.json<{ own?: object; configuration: object }>();
    const second = await publish('billing', 1, { ...(written ?? configuration), DB_PASS: { $secret: secrets.next } });
    assert.equal(second.status, 201, second.body);
    await until(
      'the program has the next one',
      async () => (await witnessed())['DB_PASS'] === hashOf(secrets.next),
      60,
    );
    const revealed = await admin()('POST', `${innerUrl}/v1/services/billing/default/2/reveal`, {
      keys: ['DB_PASS', 'CLIENT_SECRET'],
    });
    const { values } = revealed.json<{ values: Record<string, string> }>();
    assert.equal(values['DB_PASS'], secrets.next);
    canaries.watch('managed client secret', values['CLIENT_SECRET'] ?? '');
    assert.equal((await witnessed())['CLIENT_SECRET'], hashOf(values['CLIENT_SECRET'] ?? ''));
  });

  it('a developer who may not reveal gets none, by any route', async () => {
    const { access_token: own } = await signIn(innerUrl, dora);
    const ask = async (method: string, path: string, json?: unknown) => {
      const options = { method, token: own, ...(json === undefined ? {} : { json }) };
      const answer = await call(`${innerUrl}${path}`, options);
      answers.push({ label: `${method} ${path}`, text: `${JSON.stringify(answer.headers)}\n${answer.body}` });
      return answer;
    };
    const base = '/v1/services/billing/default';
    for (const path of [
      '/v1/services/billing/namespaces',
      base,
      `${base}/latest`,
      `${base}/versions`,
      `${base}/1`,
      `${base}/2`,
      `${base}/2/compare`,
      `${base}/2/compare?with=previous`,
      `${base}/2/compare?with=1`,
      '/v1/services/platform/common/1',
      '/v1/services/billing',
      '/v1/services/billing/instances',
      '/v1/services/billing/agents',
      `${base}/rollouts`,
      `${base}/proposals`,
    ]) {
      const answer = await ask('GET', path);
      assert.equal(answer.status, 200, `${path}: ${answer.body}`);
    }
    const refused: [string, string, unknown?][] = [
      ['POST', `${base}/2/reveal`, {}],
      ['POST', '/v1/services/billing/enrolment-tokens', {}],
      ['POST', '/v1/services/billing/tokens', { name: 'mine' }],
      ['GET', '/v1/services/billing/token'],
      ['POST', '/v1/webhooks', { url: 'https://hooks.example.com', events: ['*'] }],
      ['GET', '/v1/audit'],
      ['POST', '/v1/roles', { name: 'mine', permissions: ['configuration:reveal'] }],
    ];
    for (const [method, path, body] of refused) {
      const answer = await ask(method, path, body);
      assert.equal(answer.status, 403, `${method} ${path}: ${answer.body}`);
    }
    for (const path of [`${base}/agent`, `${base}/2/agent`, `${base}/events`]) {
      const answer = await ask('GET', path);
      assert.ok(answer.status === 401 || answer.status === 404, `${path}: ${answer.status}`);
    }
    const current = (await ask('GET', `${base}/2`)).json<{ own?: object; configuration: Record<string, object> }>();
    const written = { ...(current.own ?? current.configuration) } as Record<string, unknown>;
    // A fingerprint under another key would copy a secret to where a schema or a template shows it.
    const moved = await ask('POST', base, { parent_version: 2, configuration: { ELSEWHERE: written['DB_PASS'] } });
    assert.equal(moved.status, 400, moved.body);
    const broken = await ask('POST', base, {
      parent_version: 2,
      configuration: { X: { $secret: secrets.refused }, Y: { deep: { $secret: secrets.mistyped } } },
    });
    assert.equal(broken.status, 400, broken.body);
    const late = await ask('POST', base, { parent_version: 1, configuration: { X: { $secret: secrets.refused } } });
    assert.equal(late.status, 409, late.body);
    const back = await ask('POST', `${base}/rollback`, { version: 1 });
    assert.equal(back.status, 201, back.body);
    // A namespace of their own that inherits the secrets shows them no better.
    const made = await ask('POST', '/v1/services', { name: 'doras' });
    assert.equal(made.status, 201, made.body);
    const heir = await ask('POST', '/v1/services/namespaces', {
      service: 'doras',
      namespace: 'default',
      extends: ['platform/common'],
      configuration: {},
    });
    assert.equal(heir.status, 201, heir.body);
    await ask('GET', '/v1/services/doras/default/1');
    assert.equal((await ask('POST', '/v1/services/doras/enrolment-tokens', {})).status, 403);

    const exported = [];
    const env = { GATEHOUSE_URL: innerUrl, GATEHOUSE_TOKEN: own, GATEHOUSE_CONFIG_DIR: join(folder, 'dora') };
    for (const args of [
      ...['env', 'json', 'yaml', 'properties'].map((format) => ['config', 'export', '--format', format]),
      ['config', 'get'],
      ['config', 'history'],
      ['config', 'diff'],
      ['config', 'instances'],
      ['config', 'types'],
    ]) {
      const ended = await runProgram('apps/cli/src/main.ts', [...args, 'acme.billing'], {
        cwd: folder,
        env,
      });
      exported.push(`${args.join(' ')}\n${ended.output}`);
      assert.equal(ended.exitCode, 0, exported.at(-1));
    }
    const reveal = ['config', 'reveal', 'acme.billing'];
    const ended = await runProgram('apps/cli/src/main.ts', reveal, { cwd: folder, env });
    assert.notEqual(ended.exitCode, 0, ended.output);
    exported.push(ended.output);
    assertNone([
      ...answers.flatMap(({ label, text }) => canaries.find(text, label)),
      ...exported.flatMap((text) => canaries.find(text, text.split('\n')[0] ?? '')),
    ]);
  });

  it('none on the wire, in logs, webhooks, the audit trail and the files of the agent', async (t) => {
    await until('the webhooks were told', () => told.join('').includes('configuration.published'), 60);
    const audit = await call(`${innerUrl}/v1/audit/export`, { token });
    assert.match(audit.body, /configuration\.revealed/, 'the reveal is recorded');
    assert.match(server.output(), /"level":"debug"/);
    const wire = proxy.recorded();
    assert.ok(wire.includes('gatehouse-configuration') || wire.length > 10_000, 'the proxy saw the agent');
    assert.ok(wire.includes('/v1/agents'), 'its enrolment too');
    const state = await canaries.findInFiles(join(folder, 'state'));
    assert.ok(state.files > 0, 'the agent keeps a local copy');
    assertNone([
      ...canaries.find(wire, 'bytes between agent and server'),
      ...canaries.find(server.output(), 'output of the server'),
      ...canaries.find(agentSaid, 'output of the agent'),
      ...canaries.find(told.join('\n'), 'webhooks'),
      ...canaries.find(audit.body, 'audit export'),
      ...state.sightings,
    ]);
    t.diagnostic(`${canaries.size()} values looked for in ${wire.length} bytes on the wire`);
  });

  it('none in any table, none in the bytes of the database', async (t) => {
    const found = await findInTables(await connectionOf(join(folder, 'data/postgres')), canaries, visible);
    assert.ok(found.tables > 30 && found.rows > 100 && found.sawVisible, JSON.stringify({ ...found, sightings: 0 }));
    assertNone(found.sightings);
    agent?.kill('SIGTERM');
    if (agent && agent.exitCode === null) await once(agent, 'exit');
    await server.stop();
    const files = await canaries.findInFiles(join(folder, 'data'));
    assertNone(files.sightings);
    t.diagnostic(
      `${found.rows} rows of ${found.tables} tables, ${files.files} files, ${Math.round(files.bytes / 1e6)} MB`,
    );
  });
});

function assertNone(sightings: readonly Sighting[]): void {
  const told = sightings.map(({ what, form, where }) => `${what} (${form}) in ${where}`);
  assert.deepEqual([...new Set(told)], []);
}
