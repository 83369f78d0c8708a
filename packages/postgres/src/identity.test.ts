import assert from 'node:assert/strict';
import { chmod, chown, lstat, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type Fixture,
  type FixtureOptions,
  filledDirectory,
  isRoot,
  query,
  startFixture,
  startReady,
  temporaryDirectory,
} from './testing/harness.ts';
import { removeLibraryLinks, type Stage, stageInstallation } from './testing/stage.ts';

const rootOnly = { skip: isRoot ? false : 'only root can become other users' };

// Reachable for every user, whatever the place of this repository; and one below a directory like root's home.
const open = await stageInstallation(await temporaryDirectory(0o755));
const home = await temporaryDirectory(0o700);
const closed = await stageInstallation(home);

const from = ({ node, program }: Stage): Omit<FixtureOptions, 'dataDir'> => ({ node, program, ephemeral: true });

/** Starts, writes, stops, starts again, reads. */
async function assertWorks(options: FixtureOptions): Promise<void> {
  for (const start of [1, 2]) {
    const server = await startReady(options);
    const client = server.connectionString;
    await query(client, `CREATE TABLE IF NOT EXISTS starts (number integer)`);
    await query(client, `INSERT INTO starts VALUES ($1)`, [start]);
    const rows = (await query(client, `SELECT number FROM starts ORDER BY number`)) as { number: number }[];
    assert.deepEqual(rows, [{ number: 1 }, { number: 2 }].slice(0, start));
    await server.stop();
  }
}

async function refusal(fixture: Fixture, code: string, words: RegExp): Promise<void> {
  const refused = await fixture.event('refused');
  assert.equal(refused.code, code, refused.message);
  assert.match(refused.message ?? '', words);
  await fixture.stop();
}

/** The user the kernel sees, and its capabilities. */
async function credentials(pid: number): Promise<{ uid: number; groups: string; capabilities: bigint }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? '';
  return {
    uid: Number(field('Uid').split('\t')[1]),
    groups: field('Groups').trim(),
    capabilities: BigInt(`0x${field('CapEff')}`),
  };
}

/** A directory that belongs to the user. */
async function directoryOf(uid: number): Promise<string> {
  const directory = await temporaryDirectory();
  await chown(directory, uid, uid);
  return directory;
}

test('as root: PostgreSQL runs as a user that no other program runs as', rootOnly, async () => {
  const dataDir = await temporaryDirectory();
  await assertWorks({ dataDir, ...from(open) });
  const server = await startReady({ dataDir, ...from(open) });
  const { uid, groups, capabilities } = await credentials(server.postgresPid);
  assert.deepEqual({ uid, groups, capabilities }, { uid: 65_530, groups: '', capabilities: 0n });
  assert.equal((await lstat(join(dataDir, 'postgres', 'cluster'))).uid, 65_530);
  await server.stop();
});

test('as root, with a data directory of an ordinary user: as that user', rootOnly, async () => {
  const dataDir = await directoryOf(61_234);
  const server = await startReady({ dataDir, ...from(open) });
  assert.equal((await credentials(server.postgresPid)).uid, 61_234);
  await server.stop();
});

test(
  "as root, all of it below root's 0700 home: without root's capabilities, files stay root's",
  rootOnly,
  async () => {
    const dataDir = join(home, 'data');
    await assertWorks({ dataDir, ...from(closed) });
    const server = await startReady({ dataDir, ...from(closed) });
    assert.equal((await credentials(server.postgresPid)).capabilities, 0n);
    assert.equal((await lstat(join(dataDir, 'postgres', 'cluster', 'base'))).uid, 0);
    await server.stop();
  },
);

test('as root, a data directory that moves into and out of reach keeps its data', rootOnly, async () => {
  const directory = await temporaryDirectory();
  const dataDir = join(directory, 'data');
  const first = await startReady({ dataDir, ...from(open) });
  await query(first.connectionString, `CREATE TABLE kept ()`);
  await first.stop();
  for (const [mode, owner] of [
    [0o700, 0],
    [0o755, 65_530],
  ] as const) {
    await chmod(directory, mode);
    const server = await startReady({ dataDir, ...from(open) });
    assert.deepEqual(await query(server.connectionString, `SELECT * FROM kept`), []);
    assert.equal((await lstat(join(dataDir, 'postgres', 'cluster', 'base'))).uid, owner);
    await server.stop();
  }
});

test('as root where user namespaces are off, binaries out of reach: a copy of them', rootOnly, async () => {
  const dataDir = await temporaryDirectory();
  const options = { dataDir, inContainer: true, ...from(closed) };
  await assertWorks(options);
  const server = await startReady(options);
  assert.equal((await credentials(server.postgresPid)).uid, 65_530);
  assert.match(await readFile(`/proc/${server.postgresPid}/cmdline`, 'utf8'), /postgres\/binaries\/18\./);
  await server.stop();
});

test('as root where user namespaces are off, data out of reach: a clear refusal', rootOnly, async () => {
  const fixture = startFixture({ dataDir: join(home, 'other'), inContainer: true, ...from(closed) });
  await refusal(fixture, 'cannot_drop_root', /chmod o\+x .* or set GATEHOUSE_DATABASE_URL/);
});

test('as an ordinary user', async () => {
  // nobody: a user that has a name. When we are not root, we are one ourselves.
  const user = isRoot ? { uid: 65_534 } : {};
  const dataDir = isRoot ? await directoryOf(65_534) : await temporaryDirectory();
  await assertWorks({ dataDir, ...user, ...from(open) });
  assert.equal((await lstat(join(dataDir, 'postgres'))).mode & 0o777, 0o700);
});

test('as an ordinary user whose uid has no name', rootOnly, async () => {
  await assertWorks({ dataDir: await directoryOf(61_234), uid: 61_234, ...from(open) });
});

test('as an uid without a name where user namespaces are off: a clear refusal', rootOnly, async () => {
  const dataDir = await directoryOf(61_234);
  const prefix = ['setpriv', '--reuid=61234', '--regid=61234', '--clear-groups'];
  const fixture = startFixture({ dataDir, inContainer: true, prefix, ...from(open) });
  await refusal(fixture, 'user_unknown', /Add a line for it to \/etc\/passwd/);
});

test('a directory of another user is refused, with the remedy', rootOnly, async () => {
  const user = { uid: 65_534, ...from(open) };
  const unwritable = await temporaryDirectory(0o755);
  await refusal(
    startFixture({ dataDir: unwritable, ...user }),
    'data_dir_unusable',
    /may not read and write it: .*chown/,
  );
  const unreadable = await temporaryDirectory(0o700);
  await refusal(
    startFixture({ dataDir: unreadable, ...user }),
    'data_dir_unusable',
    /may not read and write it: .*chown/,
  );

  const ofRoot = await filledDirectory();
  await refusal(startFixture({ dataDir: ofRoot, ...user }), 'data_dir_unusable', /may not .*chown/);
  // The container directory alone is not enough.
  await chown(join(ofRoot, 'postgres'), 65_534, 65_534);
  await refusal(startFixture({ dataDir: ofRoot, ...user }), 'data_dir_unusable', /chown/);
});

test('a cluster of another user is refused even where its directory is ours', rootOnly, async () => {
  const dataDir = await directoryOf(65_534);
  const server = await startReady({ dataDir, uid: 65_534, ...from(open) });
  await server.stop();
  await chown(join(dataDir, 'postgres', 'cluster'), 61_234, 61_234);
  await refusal(startFixture({ dataDir, uid: 65_534, ...from(open) }), 'data_dir_unusable', /chown/);
});

test('libraries without their links (--ignore-scripts) are made up for, in every way of running', async () => {
  const bare = await stageInstallation(await temporaryDirectory());
  assert((await removeLibraryLinks(bare)) > 0);
  const dataDir = await temporaryDirectory();
  await assertWorks({ dataDir, ...from(bare) });
  assert((await readdir(join(dataDir, 'postgres', 'libraries'))).includes('libpq.so.5'));
  assert((await removeLibraryLinks(bare)) === 0); // The installation is left as it was.

  if (isRoot) {
    await removeLibraryLinks(closed);
    await assertWorks({ dataDir: join(home, 'links'), ...from(closed) });
    await assertWorks({ dataDir: await temporaryDirectory(), inContainer: true, ...from(closed) });
  }
});

test('without the binaries the refusal says what to install', async () => {
  const directory = await temporaryDirectory();
  const { node, program } = await stageInstallation(directory);
  await rm(join(directory, 'node_modules'), { recursive: true });
  const fixture = startFixture({ dataDir: join(directory, 'data'), node, program });
  await refusal(fixture, 'binaries_unavailable', /Run npm install without --omit=optional/);
});

test('in another container on the same volume: the second is refused', rootOnly, async () => {
  const dataDir = await temporaryDirectory();
  const first = await startReady({ dataDir, ...from(open) });
  const prefix = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const second = startFixture({ dataDir, prefix, ...from(open) });
  await refusal(second, 'in_use', new RegExp(`in use by process ${first.pid} on `));
  assert.deepEqual(await query(first.connectionString, `SELECT 1 AS one`), [{ one: 1 }]);
  await first.stop();
});
