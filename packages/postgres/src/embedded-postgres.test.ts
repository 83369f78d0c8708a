import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { access, chown, lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'pg';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import { EmbeddedPostgresError } from './error.ts';
import { filledDirectory, isRoot, query, startFixture, startReady, temporaryDirectory } from './testing/harness.ts';

/** Expects a refusal with the code and the words an operator needs. */
async function assertRefused(started: Promise<unknown>, code: string, words: RegExp): Promise<EmbeddedPostgresError> {
  let refusal: unknown;
  await started.catch((error: unknown) => {
    refusal = error;
  });
  assert(refusal instanceof EmbeddedPostgresError, `expected a refusal, not ${String(refusal)}`);
  assert.equal(refusal.code, code, refusal.message);
  assert.match(refusal.message, words);
  return refusal;
}

// One directory for all tests that leave it usable.
const dataDir = await filledDirectory();

test('what was written is there after a stop and a second start', async () => {
  const first = await startEmbeddedPostgres({ dataDir });
  await query(first.connectionString, `CREATE TABLE kept (word text)`);
  await query(first.connectionString, `INSERT INTO kept VALUES ('ünï')`);
  await first.stop();
  await first.stop();
  const second = await startEmbeddedPostgres({ dataDir });
  assert.deepEqual(await query(second.connectionString, `SELECT word FROM kept`), [{ word: 'ünï' }]);
  assert.equal(second.connectionString, first.connectionString);
  await second.stop();
});

test('the server is durable, checked, UTF-8, and reachable through its own socket only', async () => {
  const log: string[] = [];
  const write = (_fields: object, message: string): void => void log.push(message);
  const server = await startEmbeddedPostgres({
    dataDir,
    log: { debug: write, info: write, warn: write, error: write },
  });
  const show = async (name: string): Promise<unknown> => {
    const [row] = (await query(server.connectionString, `SELECT current_setting('${name}') AS value`)) as {
      value: string;
    }[];
    return row?.value;
  };
  assert.equal(await show('fsync'), 'on');
  assert.equal(await show('synchronous_commit'), 'on');
  assert.equal(await show('full_page_writes'), 'on');
  assert.equal(await show('data_checksums'), 'on');
  assert.equal(await show('listen_addresses'), '');
  assert.equal(await show('server_encoding'), 'UTF8');
  const [locale] = await query(
    server.connectionString,
    `SELECT datlocprovider AS provider, datlocale AS locale FROM pg_database WHERE datname = current_database()`,
  );
  assert.deepEqual(locale, { provider: 'b', locale: 'C.UTF-8' });
  const [role] = await query(
    server.connectionString,
    `SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user`,
  );
  assert.deepEqual(role, { rolname: 'gatehouse', rolsuper: false });
  await query(server.connectionString, `CREATE EXTENSION pg_trgm`);

  assert.equal((await lstat(join(dataDir, 'postgres', 'socket'))).mode & 0o777, 0o700);
  assert.equal((await lstat(join(dataDir, 'postgres', 'cluster'))).mode & 0o777, 0o700);
  assert.equal((await lstat(join(dataDir, 'postgres', 'password'))).mode & 0o777, 0o600);
  for (const user of ['gatehouse', 'postgres']) {
    const intruder = new Client({ ...server.connection, user, password: 'guess' });
    await assert.rejects(intruder.connect(), { code: '28P01' });
  }

  const canary = 'canary-7f3a';
  await assert.rejects(query(server.connectionString, `SELECT '${canary}'::integer`), { code: '22P02' });
  await assert.rejects(query(server.connectionString, `SELECT $1::text::integer`, [canary]), { code: '22P02' });
  await server.stop();
  assert(log.length > 0);
  assert.deepEqual(
    log.filter((line) => line.includes(canary) || line.includes(server.connection.password)),
    [],
  );
});

test('a second server on the data directory is refused and names the first', async () => {
  const first = await startReady({ dataDir });
  const refusal = await assertRefused(
    startEmbeddedPostgres({ dataDir }),
    'in_use',
    new RegExp(`in use by process ${first.pid}\\. Stop that one first`),
  );
  assert.equal(refusal.pid, first.pid);
  await query(first.connectionString, `SELECT 1`);
  await first.stop();
  const second = await startEmbeddedPostgres({ dataDir });
  await assertRefused(startEmbeddedPostgres({ dataDir }), 'in_use', /in use by this process/);
  await second.stop();
});

test('of many first starts at once one wins', async () => {
  const dataDir = await temporaryDirectory();
  const fixtures = Array.from({ length: 4 }, () => startFixture({ dataDir }));
  const outcomes = await Promise.all(
    fixtures.map((fixture) => Promise.race([fixture.event('ready'), fixture.event('refused')])),
  );
  assert.deepEqual(outcomes.map((outcome) => outcome.code ?? outcome.event).sort(), [
    'in_use',
    'in_use',
    'in_use',
    'ready',
  ]);
  await Promise.all(fixtures.map((fixture) => fixture.stop()));
});

test('a data directory of another major version is refused and not touched', async () => {
  const cluster = join(dataDir, 'postgres', 'cluster');
  await writeFile(join(cluster, 'PG_VERSION'), '17\n');
  await assertRefused(
    startEmbeddedPostgres({ dataDir }),
    'version_mismatch',
    /made by PostgreSQL 17; .* brings PostgreSQL 18/,
  );
  await writeFile(join(cluster, 'PG_VERSION'), '18\n');

  await rename(join(cluster, 'global', 'pg_control'), join(cluster, 'global', 'gone'));
  await assertRefused(startEmbeddedPostgres({ dataDir }), 'not_a_cluster', /Restore it from a backup, or move it away/);
  await rename(join(cluster, 'global', 'gone'), join(cluster, 'global', 'pg_control'));
  await (await startEmbeddedPostgres({ dataDir })).stop();
});

test('a directory with other files in the place of the cluster is refused and kept', async () => {
  const dataDir = await temporaryDirectory();
  await mkdir(join(dataDir, 'postgres', 'cluster'), { recursive: true });
  await writeFile(join(dataDir, 'postgres', 'cluster', 'letter.txt'), 'dear');
  await assertRefused(startEmbeddedPostgres({ dataDir }), 'not_a_cluster', /not a whole PostgreSQL data directory/);
  assert.equal(await readFile(join(dataDir, 'postgres', 'cluster', 'letter.txt'), 'utf8'), 'dear');
});

test('a file in the place of the data directory is refused', async () => {
  const dataDir = join(await temporaryDirectory(), 'file');
  await writeFile(dataDir, '');
  await assertRefused(startEmbeddedPostgres({ dataDir }), 'data_dir_unusable', /a file|in the way/);
});

test('a lost password file is replaced, the data kept', async () => {
  const first = await startEmbeddedPostgres({ dataDir });
  await query(first.connectionString, `CREATE TABLE nothing ()`);
  await first.stop();
  await rm(join(dataDir, 'postgres', 'password'));
  const second = await startEmbeddedPostgres({ dataDir });
  assert.notEqual(second.connection.password, first.connection.password);
  assert.deepEqual(await query(second.connectionString, `SELECT * FROM nothing`), []);
  await second.stop();
});

test('a pid in a left-over postmaster.pid that now belongs to another program does no harm', async () => {
  const cluster = join(dataDir, 'postgres', 'cluster');
  const owner = await lstat(cluster);
  // PostgreSQL itself asks only whether a process of that pid and of its own user is alive.
  const stranger = spawn('sleep', ['600'], isRoot ? { uid: owner.uid, gid: owner.gid } : {});
  await writeFile(join(cluster, 'postmaster.pid'), `${stranger.pid}\n${cluster}\n1\n5432\n/tmp\n\n  1 1\nready\n`);
  await chown(join(cluster, 'postmaster.pid'), owner.uid, owner.gid);
  const server = await startEmbeddedPostgres({ dataDir });
  assert.deepEqual(await query(server.connectionString, `SELECT 1 AS one`), [{ one: 1 }]);
  await server.stop();
  stranger.kill();
});

test('a path too long for a socket address, with spaces and quotes, gets a socket under /tmp that goes away again', async () => {
  const dataDir = join(await temporaryDirectory(), `it's "long", ${'x'.repeat(90)}`);
  const server = await startEmbeddedPostgres({ dataDir });
  assert.match(server.connection.host, /^\/tmp\/gatehouse-\d+-[0-9a-f]{16}$/);
  assert.equal((await lstat(server.connection.host)).mode & 0o777, 0o700);
  assert.deepEqual(await query(server.connectionString, `SELECT 1 AS one`), [{ one: 1 }]);
  await server.stop();
  await assert.rejects(access(server.connection.host), { code: 'ENOENT' });
});

test('no secret of ours is in the environment of PostgreSQL', async () => {
  const server = await startReady({ dataDir, env: { ...process.env, GATEHOUSE_ROOT_KEY: 'canary' } });
  const environment = await readFile(`/proc/${server.postgresPid}/environ`, 'utf8');
  assert.match(environment, /LC_ALL=C/);
  assert.doesNotMatch(environment, /canary/);
  await server.stop();
});

test('stop leaves no process, no socket and no pid file', async () => {
  const server = await startEmbeddedPostgres({ dataDir });
  const client = new Client(server.connection);
  client.on('error', () => undefined);
  await client.connect();
  await server.stop();
  assert.deepEqual(await readdir(join(dataDir, 'postgres', 'socket')), []);
  await assert.rejects(access(join(dataDir, 'postgres', 'cluster', 'postmaster.pid')), { code: 'ENOENT' });
  assert.throws(() => process.kill(server.pid, 0), { code: 'ESRCH' });
});
