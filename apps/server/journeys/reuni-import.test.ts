/** A made-up Reuni database is brought over by the program, and its agents find what they had. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createEmptyTestDatabase } from '@gatehouse/testkit';
import pg from 'pg';
import { freePort, type Program, runProgram, startProgram } from './support/programs.ts';
import { send } from './support/reuni-clients.ts';
import { createReuniDatabase } from './support/reuni-database.ts';

const token = randomBytes(64).toString('base64').slice(0, 64);
const rename = ['--rename', 'organization:GoSquads=gosquads'];

describe('bringing a Reuni database over', () => {
  let folder: string;
  let reuni: Awaited<ReturnType<typeof createReuniDatabase>>;
  let database: Awaited<ReturnType<typeof createEmptyTestDatabase>>;
  let gatehouse: pg.Client;
  let env: Record<string, string>;
  let server: Program | undefined;
  const run = (args: readonly string[], more: Record<string, string> = {}) =>
    runProgram('apps/server/src/import-reuni.ts', args, { cwd: folder, env: { ...env, ...more } });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-import-'));
    reuni = await createReuniDatabase(token);
    database = await createEmptyTestDatabase();
    gatehouse = new pg.Client({ connectionString: database.connectionString });
    await gatehouse.connect();
    env = {
      GATEHOUSE_PORT: String(await freePort()),
      GATEHOUSE_DATABASE_URL: database.connectionString,
      GATEHOUSE_DATA_DIR: folder,
      GATEHOUSE_ROOT_KEY: randomBytes(32).toString('base64url'),
      GATEHOUSE_LOG_LEVEL: 'warn',
      GATEHOUSE_MODULES: 'reuni',
      GATEHOUSE_ADMIN_USERNAME: 'root-operator',
      GATEHOUSE_ADMIN_PASSWORD: 'correct horse battery staple 42',
      // Not reached by the import: it tells Redis nothing, or the agents that are still Reuni's would hear of it.
      GATEHOUSE_REDIS_URL: 'redis://127.0.0.1:1',
      REUNI_DATABASE_URL: reuni.connectionString,
    };
  });
  after(async () => {
    await server?.stop();
    await gatehouse?.end();
    await database?.drop();
    await reuni?.drop();
    await rm(folder, { recursive: true, force: true });
  });

  it('says what it needs, and what cannot be taken over, and writes nothing then', async () => {
    assert.match((await run(['--help'])).output, /Usage: npm run import-reuni/);
    const without = await run([], { GATEHOUSE_MODULES: '' });
    assert.deepEqual([without.exitCode, /GATEHOUSE_MODULES does not name reuni/.test(without.output)], [78, true]);
    assert.equal((await run(['--rename', 'x'])).exitCode, 78);
    const refused = await run(['--keep-tokens']);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.output, /"GoSquads" has a name .* --rename 'organization:GoSquads=gosquads'/);
    const dry = await run(['--dry-run', ...rename]);
    assert.deepEqual([dry.exitCode, dry.output], [0, 'Everything can be imported. Nothing was written.\n']);
    const { rows } = await gatehouse.query("select name from identity.organizations where created_by = 'reuni-import'");
    assert.deepEqual(rows, []);
  });

  it('brings all of it over; run again it adds what is new', async () => {
    const first = await run(['--keep-tokens', ...rename]);
    assert.equal(first.output, 'Imported 2 organizations, 2 users, 3 members, 2 services, 2 namespaces, 4 versions.\n');
    await reuni.publish(4, 3, { HOST: 'db3' }, 'ann');
    const second = await run(['--keep-tokens', ...rename]);
    assert.match(second.output, /^Imported 0 organizations, 0 users, .* 0 namespaces, 1 versions\.$/m);

    const versions = await gatehouse.query(
      `select v.version, v.parent_version, v.own, v.message, coalesce(u.username, v.created_by) as by
        from configuration.versions v join configuration.namespaces n on n.id = v.namespace_id
        left join identity.users u on u.uid = v.created_by where n.organization = 'acme' order by 1`,
    );
    assert.deepEqual(
      versions.rows.map(({ version, parent_version, own, by }) => [version, parent_version, own, by]),
      [
        [1, 0, { HOST: 'localhost', RETRIES: 3 }, 'ann'],
        [2, 1, { HOST: 'db', RETRIES: '3' }, 'bob'],
        [3, 1, { HOST: 'db2' }, 'reuni-import'],
        [4, 3, { HOST: 'db3' }, 'ann'],
      ],
    );
    assert.match(versions.rows[1].message, /^Imported from Reuni: published by bob at 2018-08-15 06:24:44$/);
    const members = await gatehouse.query(
      `select m.organization, u.username, r.name as role from identity.memberships m
        join identity.users u on u.uid = m.uid join identity.roles r on r.id = any(m.role_ids)
        where m.organization in ('acme', 'gosquads') order by 1, 2`,
    );
    assert.deepEqual(
      members.rows.map((row) => Object.values(row)),
      [
        ['acme', 'ann', 'admin'],
        ['acme', 'bob', 'developer'],
        ['gosquads', 'bob', 'auditor'],
      ],
    );
    const passwords = await gatehouse.query(
      "select from identity.password_credentials p join identity.users u using (uid) where u.organization = 'reuni'",
    );
    assert.equal(passwords.rowCount, 0, 'hashes of the original are not taken over');
  });

  it('an agent needs only the new address; a user, a password from the operator', async () => {
    const { GATEHOUSE_REDIS_URL: _none, ...settings } = env;
    const script = 'apps/server/src/main.ts';
    server = await startProgram({
      name: 'The server',
      script,
      cwd: folder,
      env: settings,
      readyText: /^Gatehouse is ready/m,
    });
    const url = `http://127.0.0.1:${env['GATEHOUSE_PORT']}`;
    const base = `${url}/reuni/acme/billing/default`;
    assert.deepEqual((await send('GET', `${base}/agent`, { authorization: token })).json, { version: 4 });
    const fetched = await send('GET', `${base}/4/agent`, { authorization: token });
    assert.deepEqual(fetched.json.configuration, { HOST: 'db3' });

    const json = { 'content-type': 'application/json' };
    const password = 'a new one that the operator gave';
    const login = () => send('POST', `${url}/reuni/login`, json, JSON.stringify({ username: 'bob', password }));
    assert.equal((await login()).status, 401);
    const operator = await send(
      'POST',
      `${url}/v1/sessions`,
      json,
      JSON.stringify({ username: 'root-operator', password: env['GATEHOUSE_ADMIN_PASSWORD'] }),
    );
    const headers = {
      ...json,
      authorization: `Bearer ${operator.json.access_token}`,
      'gatehouse-organization': 'reuni',
    };
    const [bob] = (await send('GET', `${url}/v1/users?username=bob`, headers)).json.items;
    const set = await send('POST', `${url}/v1/users/${bob.uid}/password`, headers, JSON.stringify({ password }));
    assert.equal(set.status, 204, set.body);
    const session = (await login()).json;
    const organizations = await send('GET', `${url}/reuni/organization`, { authorization: `Bearer ${session.token}` });
    assert.deepEqual(
      organizations.json.map(({ name, role }: { name: string; role: string }) => [name, role]),
      [
        ['acme', 'Developer'],
        ['gosquads', 'Auditor'],
      ],
    );
  });

  it('missing numbers, keys that cannot be used, and names that are taken are told before anything is written', async () => {
    await reuni.query("delete from public.configurations where version = 2 and service_name = 'billing'");
    await reuni.query(`update public.configurations set config_store = '{"": "x"}' where service_name = 'mail'`);
    await gatehouse.query("update identity.users set created_by = 'somebody' where username = 'ann'");
    const refused = await run(rename);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.output, /acme\/billing\/default has 3 versions, but the newest is 4: numbers are missing/);
    assert.match(refused.output, /gosquads\/mail\/default version 1: .*is empty/);
    assert.match(refused.output, /the user "ann" is here already: add --rename 'user:ann=<new>'/);
  });
});
