import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Client } from 'pg';
import { command, query, startFixture, startReady, temporaryDirectory } from './testing/harness.ts';

// A file system of its own, so that no other program's disk is full. Unmounted before its directory is removed.
let mountPoint = '';
let mounted = false;
after(() => (mounted ? command('umount', '--lazy', mountPoint) : undefined));
mountPoint = join(await temporaryDirectory(), 'small');
await mkdir(mountPoint);
mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=755', 'tmpfs', mountPoint]).status === 0;
const options = { skip: mounted ? false : 'a small file system cannot be mounted here; that needs root' };
const dataDir = join(mountPoint, 'data');

test('a first start on a full disk says so, and succeeds when there is space', options, async () => {
  const fixture = startFixture({ dataDir });
  const refused = await fixture.event('refused');
  assert.equal(refused.code, 'disk_full', refused.message);
  assert.match(refused.message ?? '', /Free some space .* what was committed is kept/);
  await fixture.stop();
  assert.equal((await readdir(join(dataDir, 'postgres'))).includes('cluster.new'), false); // The space is given back.

  await command('mount', '-o', 'remount,size=160m', mountPoint);
  await (await startReady({ dataDir })).stop();
});

test(
  'a disk that fills up while the server writes: it says so, and nothing acknowledged is lost',
  options,
  async () => {
    const server = await startReady({ dataDir });
    await query(server.connectionString, `CREATE TABLE numbers (number integer PRIMARY KEY)`);
    const { bavail, bsize } = await statfs(mountPoint);
    const filler = join(mountPoint, 'filler');
    await writeFile(filler, Buffer.alloc(bavail * bsize - 1_000_000));

    // A megabyte of log with each row, until the log cannot grow.
    const acknowledged: number[] = [];
    const client = new Client({ connectionString: server.connectionString });
    client.on('error', () => undefined);
    await client.connect();
    await assert.rejects(async () => {
      for (let number = 1; number < 1000; number += 1) {
        await client.query('BEGIN');
        await client.query(`SELECT pg_logical_emit_message(true, 'filler', repeat('x', 1000000))`);
        await client.query(`INSERT INTO numbers VALUES ($1)`, [number]);
        await client.query('COMMIT');
        acknowledged.push(number);
      }
    });
    await client.end().catch(() => undefined);
    const failed = await server.event('failed');
    assert.equal(failed.code, 'disk_full', failed.message);
    await server.stop();
    const refused = await startFixture({ dataDir }).event('refused');
    assert.equal(refused.code, 'disk_full', refused.message);

    await rm(filler);
    const next = await startReady({ dataDir });
    const rows = (await query(next.connectionString, `SELECT number FROM numbers`)) as { number: number }[];
    const kept = new Set(rows.map((row) => row.number));
    assert(acknowledged.length > 0);
    assert.deepEqual(
      acknowledged.filter((number) => !kept.has(number)),
      [],
    );
    await next.stop();
  },
);
