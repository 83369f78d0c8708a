import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'pg';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import { processExists, tryLock } from './lock.ts';
import {
  type Fixture,
  filledDirectory,
  processesWith,
  query,
  signal,
  startFixture,
  startReady,
  temporaryDirectory,
  until,
} from './testing/harness.ts';

/** Inserts numbers one after the other until the connection breaks; returns those whose commit was acknowledged. */
async function insertUntilBroken(connectionString: string, from: number): Promise<number[]> {
  const acknowledged: number[] = [];
  const client = new Client({ connectionString });
  client.on('error', () => undefined); // The next statement fails.
  try {
    await client.connect();
    for (let number = from; ; number += 1) {
      await client.query(`INSERT INTO numbers VALUES ($1)`, [number]);
      acknowledged.push(number);
    }
  } catch {
    return acknowledged;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Writes through four connections, calls `kill` in the midst of it, and returns what was acknowledged. */
async function writeAndKill(connectionString: string, from: number, kill: () => Promise<void>): Promise<number[]> {
  const writers = Array.from({ length: 4 }, (_, index) =>
    insertUntilBroken(connectionString, from + index * 1_000_000),
  );
  await until(async () => {
    const [row] = (await query(connectionString, `SELECT count(*)::int AS count FROM numbers`)) as { count: number }[];
    return (row?.count ?? 0) > 0;
  }, 'rows arrive');
  await kill();
  return (await Promise.all(writers)).flat();
}

/** Checks that every acknowledged number is there, then empties the table. */
async function assertKept(connectionString: string, acknowledged: readonly number[]): Promise<void> {
  assert(acknowledged.length > 0);
  const rows = (await query(connectionString, `SELECT number FROM numbers`)) as { number: number }[];
  const kept = new Set(rows.map((row) => row.number));
  assert.deepEqual(
    acknowledged.filter((number) => !kept.has(number)),
    [],
  );
  await query(connectionString, `TRUNCATE numbers`);
}

// One directory for all: each test goes on with what the one before has left, as a machine does.
const dataDir = await filledDirectory();
const setUp = await startEmbeddedPostgres({ dataDir });
await query(setUp.connectionString, `CREATE TABLE numbers (number integer PRIMARY KEY)`);
await setUp.stop();

test('kill -9 of the node process in a commit loop: the server ends by itself, no acknowledged row is lost', async () => {
  for (let round = 0; round < 4; round += 1) {
    const server = await startReady({ dataDir });
    const acknowledged = await writeAndKill(server.connectionString, 0, () => server.kill('SIGKILL'));
    // The next one starts at once, while the old server is still shutting down.
    const next = await startReady({ dataDir });
    assert.notEqual(next.postgresPid, server.postgresPid);
    await assertKept(next.connectionString, acknowledged);
    await next.stop();
  }
});

test('kill -9 of the node process leaves no process behind', async () => {
  const server = await startReady({ dataDir });
  assert((await processesWith(dataDir)).length >= 3); // The fixture, its watchdog, PostgreSQL.
  await server.kill('SIGKILL');
  await until(async () => (await processesWith(dataDir)).length === 0, 'all are gone');
});

test('kill -9 of node, watchdog and postmaster at once: nothing acknowledged is lost', async () => {
  for (let round = 0; round < 3; round += 1) {
    const server = await startReady({ dataDir });
    const processes = await processesWith(dataDir);
    const acknowledged = await writeAndKill(server.connectionString, 0, async () => {
      for (const { pid } of processes) signal(pid, 'SIGKILL');
      await server.kill('SIGKILL');
    });
    const next = await startReady({ dataDir });
    await assertKept(next.connectionString, acknowledged);
    await next.stop();
  }
});

test('a server whose node process and watchdog were killed is stopped before a new one starts', async () => {
  const server = await startReady({ dataDir });
  const watchdogs = (await processesWith(dataDir)).filter(({ command }) => command.startsWith('/bin/sh'));
  assert.equal(watchdogs.length, 1);
  for (const { pid } of watchdogs) signal(pid, 'SIGKILL');
  await server.kill('SIGKILL');
  await query(server.connectionString, `INSERT INTO numbers VALUES (-1)`); // The orphan still serves.

  const next = await startReady({ dataDir });
  assert(next.events.some((event) => event.message === 'stopping a PostgreSQL whose Gatehouse process is gone'));
  assert.equal(processExists(server.postgresPid), false);
  assert.deepEqual(await query(next.connectionString, `SELECT number FROM numbers`), [{ number: -1 }]);
  await next.stop();
});

test('kill -9 of the postmaster in a commit loop: the supervisor starts it again, no acknowledged row is lost', async () => {
  const server = await startReady({ dataDir });
  let pid = server.postgresPid;
  for (let round = 0; round < 2; round += 1) {
    const acknowledged = await writeAndKill(server.connectionString, 0, async () => signal(pid, 'SIGKILL'));
    pid = await runningAgain(server, round + 1);
    await assertKept(server.connectionString, acknowledged);
  }
  await server.stop();
  assert(server.events.some((event) => event.event === 'stopped'));
});

/** Waits until the supervisor says so for the nth time, and returns the pid of the new server. */
async function runningAgain(server: Fixture & { connectionString: string }, times: number): Promise<number> {
  const said = (): number => server.events.filter((event) => event.message === 'PostgreSQL runs again').length;
  await until(() => said() >= times, 'PostgreSQL runs again');
  return postmasterPid(server);
}

/** As the socket's own lock file has it. */
async function postmasterPid(server: { connectionString: string }): Promise<number> {
  const directory = decodeURIComponent(new URL(server.connectionString).hostname);
  return Number((await readFile(join(directory, '.s.PGSQL.5432.lock'), 'utf8')).split('\n')[0]);
}

test('a server that dies again and again is given up, and said so once', async () => {
  const server = await startReady({ dataDir });
  // As often as it comes up, or even before it is ready.
  const killer = setInterval(
    () =>
      void postmasterPid(server).then(
        (pid) => signal(pid, 'SIGKILL'),
        () => undefined,
      ),
    50,
  );
  const failed = await server.event('failed');
  clearInterval(killer);
  assert.equal(failed.code, 'keeps_crashing');
  assert.match(failed.message ?? '', /died 6 times within 60 s \(last: .*SIGKILL/);
  await server.stop();
  assert.equal(server.events.filter((event) => event.event === 'failed').length, 1);
});

test('a killed backend makes PostgreSQL restart itself, which is not the end of the server', async () => {
  const server = await startReady({ dataDir });
  const client = new Client({ connectionString: server.connectionString });
  client.on('error', () => undefined);
  await client.connect();
  await client.query(`INSERT INTO numbers VALUES (-2)`);
  const { rows } = await client.query<{ pid: number }>(`SELECT pg_backend_pid() AS pid`);
  signal(rows[0]?.pid ?? 0, 'SIGKILL');
  await server.event('log', (event) => event.level === 'warn' && /terminated by signal 9/.test(event.message ?? ''));
  await client.end().catch(() => undefined);
  await until(
    () => query(server.connectionString, `SELECT 1`).then(Boolean, () => false),
    'connections are taken again',
  );
  assert.deepEqual(await query(server.connectionString, `SELECT number FROM numbers WHERE number = -2`), [
    { number: -2 },
  ]);
  assert.equal(await postmasterPid(server), server.postgresPid);
  await server.stop();
});

test('Ctrl-C in the terminal reaches the node process only', async () => {
  const server = await startReady({ dataDir });
  server.killGroup('SIGINT');
  await server.event('interrupted');
  assert.deepEqual(await query(server.connectionString, `SELECT 1 AS one`), [{ one: 1 }]);
  assert.equal(await postmasterPid(server), server.postgresPid);
  await server.stop();
});

test('a first start killed half way is made good by the next', async () => {
  const dataDir = await temporaryDirectory();
  const unfinished = join(dataDir, 'postgres', 'cluster.new');
  // The node process alone; then with initdb, which cannot clean up after itself.
  for (const withInitdb of [false, true]) {
    const fixture = startFixture({ dataDir });
    await until(
      async () => (await readdir(unfinished).catch((): string[] => [])).includes('base'),
      'initdb is at work',
    );
    if (withInitdb) for (const { pid } of await processesWith(dataDir)) signal(pid, 'SIGKILL');
    await fixture.kill('SIGKILL');
  }
  const server = await startReady({ dataDir });
  assert.deepEqual(await query(server.connectionString, `SELECT 1 AS one`), [{ one: 1 }]);
  await assert.rejects(readdir(unfinished), { code: 'ENOENT' });
  await server.stop();
});

test('the lock is free when the last process of the server is gone, not before', async () => {
  const path = join(dataDir, 'postgres', 'lock');
  const server = await startReady({ dataDir });
  const watchdog = (await processesWith(dataDir)).find(({ command }) => command.startsWith('/bin/sh'));
  signal(watchdog?.pid ?? 0, 'SIGKILL');
  await server.kill('SIGKILL');
  const taken = await tryLock(path);
  assert('takenBy' in taken); // By PostgreSQL, which inherited it.
  assert.equal(taken.takenBy?.pid, server.pid);
  signal(server.postgresPid, 'SIGINT');
  await until(async () => {
    const lock = await tryLock(path);
    if ('fd' in lock) await lock.release();
    return 'fd' in lock;
  }, 'the lock is free');
});
