import assert from 'node:assert/strict';
import { chmod, chown, lstat, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type Fixture,
  type FixtureOptions,
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

type Ready = Awaited<ReturnType<typeof startReady>>;

/** Starts, writes, stops, starts again, reads; works as well on what an earlier call has left. */
async function assertWorks(options: FixtureOptions, inspect?: (server: Ready) => Promise<void>): Promise<void> {
  for (let start = 1; start <= 2; start += 1) {
    const server = await startReady(options);
    const counted = await query(
      server.connectionString,
      `SELECT count(*)::int AS tables FROM pg_tables WHERE tablename = 'kept'`,
    );
    if (start === 1) await query(server.connectionString, `CREATE TABLE IF NOT EXISTS kept ()`);
    else assert.deepEqual(counted, [{ tables: 1 }]);
    await inspect?.(server);
    await server.stop();
  }
}

/** Starts on what an earlier test has left, and finds it. */
async function assertKept(options: FixtureOptions, inspect?: (server: Ready) => Promise<void>): Promise<void> {
  const server = await startReady(options);
  assert.deepEqual(await query(server.connectionString, `SELECT * FROM kept`), []);
  await inspect?.(server);
  await server.stop();
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

const clusterOf = (dataDir: string): string => join(dataDir, 'postgres', 'cluster');

// Making a cluster takes a second, so that most tests go on with one of these.
const rootDirectory = await temporaryDirectory();
const rootData = join(rootDirectory, 'data');
const ordinaryData = isRoot ? await directoryOf(65_534) : await temporaryDirectory();

test('as root: PostgreSQL runs as a user that no other program runs as', rootOnly, async () => {
  await assertWorks({ dataDir: rootData, ...from(open) }, async (server) => {
    const { uid, groups, capabilities } = await credentials(server.postgresPid);
    assert.deepEqual({ uid, groups, capabilities }, { uid: 65_530, groups: '', capabilities: 0n });
    assert.equal((await lstat(clusterOf(rootData))).uid, 65_530);
  });
});

test('as root, a data directory that moves out of reach and back keeps its data', rootOnly, async () => {
  for (const [mode, owner] of [
    [0o700, 0],
    [0o755, 65_530],
  ] as const) {
    await chmod(rootDirectory, mode);
    await assertKept({ dataDir: rootData, ...from(open) }, async () => {
      assert.equal((await lstat(join(clusterOf(rootData), 'base'))).uid, owner);
    });
  }
});

test(
  "as root, all of it below root's 0700 home: without root's capabilities, files stay root's",
  rootOnly,
  async () => {
    const dataDir = join(home, 'data');
    await assertWorks({ dataDir, ...from(closed) }, async (server) => {
      assert.equal((await credentials(server.postgresPid)).capabilities, 0n);
      assert.equal((await lstat(join(clusterOf(dataDir), 'base'))).uid, 0);
    });
  },
);

test('as root where user namespaces are off, binaries out of reach: a copy of them', rootOnly, async () => {
  const dataDir = await temporaryDirectory();
  await assertWorks({ dataDir, inContainer: true, ...from(closed) }, async (server) => {
    assert.equal((await credentials(server.postgresPid)).uid, 65_530);
    assert.match(await readFile(`/proc/${server.postgresPid}/cmdline`, 'utf8'), /postgres\/binaries\/18\./);
  });
});

test('as root where user namespaces are off, data out of reach: a clear refusal', rootOnly, async () => {
  const fixture = startFixture({ dataDir: join(home, 'other'), inContainer: true, ...from(closed) });
  await refusal(fixture, 'cannot_drop_root', /chmod o\+x .* or set GATEHOUSE_DATABASE_URL/);
});

test('as an ordinary user', async () => {
  // nobody: a user that has a name. When we are not root, we are one ourselves.
  await assertWorks({ dataDir: ordinaryData, ...(isRoot ? { uid: 65_534 } : {}), ...from(open) });
  assert.equal((await lstat(join(ordinaryData, 'postgres'))).mode & 0o777, 0o700);
});

test('as an ordinary user whose uid has no name; then as root on the same directory', rootOnly, async () => {
  const dataDir = await directoryOf(61_234);
  await assertWorks({ dataDir, uid: 61_234, ...from(open) });
  await assertKept({ dataDir, ...from(open) }, async (server) => {
    assert.equal((await credentials(server.postgresPid)).uid, 61_234);
  });
});

test('as an uid without a name where user namespaces are off: a clear refusal', rootOnly, async () => {
  const dataDir = await directoryOf(61_234);
  const prefix = ['setpriv', '--reuid=61234', '--regid=61234', '--clear-groups'];
  const fixture = startFixture({ dataDir, inContainer: true, prefix, ...from(open) });
  await refusal(fixture, 'user_unknown', /Add a line for it to \/etc\/passwd/);
});

test('a directory of another user is refused, with the remedy', rootOnly, async () => {
  const user = { uid: 65_534, ...from(open) };
  const remedy = /may not read and write it: .*chown/;
  const unwritable = await temporaryDirectory(0o755);
  await refusal(startFixture({ dataDir: unwritable, ...user }), 'data_dir_unusable', remedy);
  const unreadable = await temporaryDirectory(0o700);
  await refusal(startFixture({ dataDir: unreadable, ...user }), 'data_dir_unusable', remedy);
  await refusal(startFixture({ dataDir: rootData, ...user }), 'data_dir_unusable', /may not .*chown/);
  // The directory alone is not enough.
  await chown(clusterOf(ordinaryData), 61_234, 61_234);
  await refusal(startFixture({ dataDir: ordinaryData, ...user }), 'data_dir_unusable', remedy);
  await chown(clusterOf(ordinaryData), 65_534, 65_534);
});

test('libraries without their links (--ignore-scripts) are made up for, in every way of running', async () => {
  const bare = await stageInstallation(await temporaryDirectory());
  await removeLibraryLinks(bare); // there are some only where the packages' own install script has run
  const dataDir = isRoot ? rootData : ordinaryData;
  await assertKept({ dataDir, ...from(bare) });
  assert((await readdir(join(dataDir, 'postgres', 'libraries'))).includes('libpq.so.5'));
  assert((await removeLibraryLinks(bare)) === 0); // The installation is left as it was.
  if (isRoot) {
    await removeLibraryLinks(closed);
    await assertWorks({ dataDir: join(home, 'links'), ...from(closed) });
    // Also when our umask would keep everybody else out.
    const prefix = ['/bin/sh', '-c', 'umask 077 && exec "$@"', 'sh'];
    await assertWorks({ dataDir: await temporaryDirectory(), inContainer: true, prefix, ...from(closed) });
  }
});

test('without the binaries the refusal says what to install', async () => {
  const directory = await temporaryDirectory();
  const stage = await stageInstallation(directory);
  await rm(join(directory, 'node_modules'), { recursive: true });
  const fixture = startFixture({ dataDir: join(directory, 'data'), ...from(stage) });
  await refusal(fixture, 'binaries_unavailable', /Run npm install without --omit=optional/);
});

test('from another container on the same volume: the second is refused', rootOnly, async () => {
  const first = await startReady({ dataDir: rootData, ...from(open) });
  const prefix = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const second = startFixture({ dataDir: rootData, prefix, ...from(open) });
  await refusal(second, 'in_use', new RegExp(`in use by process ${first.pid} on `));
  assert.deepEqual(await query(first.connectionString, `SELECT 1 AS one`), [{ one: 1 }]);
  await first.stop();
});
