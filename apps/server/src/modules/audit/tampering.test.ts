/**
 * The whole way: entries in a real database, changed there by its owner, and `gatehouse audit verify`, a program of its
 * own, that must find it.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { JsonObject } from '@gatehouse/contracts';
import { sql } from 'kysely';
import type { Tx } from '../../kernel/index.ts';
import { createAuditFixture, createAuditHttp, origin } from './audit-fixture.ts';
import { sealEntry } from './entry-rules.ts';
import { listSealed } from './entry-store.ts';

const fixture = await createAuditFixture();
const { db, audit } = fixture;
const app = await createAuditHttp(audit, {
  operator: { organization: 'gatehouse', operator: true, permissions: new Set(['audit:read']) },
});
await app.listen({ host: '127.0.0.1', port: 0 });
const { port } = app.server.address() as AddressInfo;
const folder = await mkdtemp(join(tmpdir(), 'gatehouse-audit-'));
after(() => rm(folder, { recursive: true }));

const tables = ['entries', 'seals', 'checkpoints', 'chain_head'] as const;
/** Runs as somebody who owns the database: the triggers are off. */
const asOwner = (work: (tx: Tx) => Promise<unknown>) =>
  db.transaction(async (tx) => {
    for (const table of tables) await sql.raw(`alter table audit.${table} disable trigger all`).execute(tx);
    await work(tx);
    for (const table of tables) await sql.raw(`alter table audit.${table} enable trigger all`).execute(tx);
  });
const run = (...statements: string[]) =>
  asOwner(async (tx) => {
    for (const statement of statements) await sql.raw(statement).execute(tx);
  });

// Thirty entries, checkpoints over 10, 20 and 30, and five entries after the last one.
for (let n = 1; n <= 35; n += 1) {
  await db.transaction((tx) =>
    audit.append(tx, {
      action: 'test.happened',
      organization: `org-${n % 3}`,
      origin,
      details: { n, text: `größe ${n}` },
    }),
  );
  await audit.sealPending();
  if (n % 10 === 0) await audit.writeCheckpoint({ force: true });
}
for (const table of tables)
  await db.transaction((tx) => sql.raw(`create table public.copy_${table} as table audit.${table}`).execute(tx));

/** Puts back what was there before the tampering. */
const restore = () =>
  run(
    ...tables.flatMap((table) => [
      `delete from audit.${table}`,
      `insert into audit.${table} ${table === 'entries' ? 'overriding system value' : ''} table public.copy_${table}`,
    ]),
  );

/** What the program says of the trail: its JSON, or the problem it ends with. */
async function verify(...options: string[]): Promise<{ exit: number; answer: JsonObject; stderr: string }> {
  const cli = join(import.meta.dirname, '../../../../cli/bin/gatehouse.js');
  const environment = { PATH: process.env['PATH'], GATEHOUSE_CONFIG_DIR: folder, GATEHOUSE_TOKEN: 'operator' };
  const url = `http://127.0.0.1:${port}`;
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [cli, '--url', url, '--json', 'audit', 'verify', ...options],
      { env: environment },
      (error, stdout, stderr) => {
        const exit = error ? error.code : 0;
        if (typeof exit !== 'number') reject(error);
        else resolve({ exit, stderr, answer: JSON.parse(exit === 0 ? stdout : stderr) as JsonObject });
      },
    );
  });
}

const saved = join(folder, 'checkpoint.json');

test('the trail as it was written is whole, and its newest checkpoint can be kept', async () => {
  const { exit, answer, stderr } = await verify('--save-checkpoint', saved);
  assert.equal(exit, 0, stderr);
  assert.equal(answer['count'], 35);
  assert.equal(answer['checkpoints'], 3);
  assert.equal((answer['last_checkpoint'] as JsonObject)['sequence'], 30);
  assert.equal((JSON.parse(await readFile(saved, 'utf8')) as JsonObject)['sequence'], 30);
  assert.equal((await verify('--checkpoint', saved)).exit, 0);
});

/** Moves the end of the trail to `sequence`, checkpoints included, as somebody would who hides what came after. */
const cutAfter = (sequence: number) => [
  `delete from audit.entries where position in (select position from audit.seals where sequence > ${sequence})`,
  `delete from audit.seals where sequence > ${sequence}`,
  `delete from audit.checkpoints where sequence > ${sequence}`,
  `update audit.chain_head set sequence = ${sequence}, hash = (select hash from audit.seals where sequence = ${sequence})`,
];
const entryOf = (sequence: number) => `position = (select position from audit.seals where sequence = ${sequence})`;

const tamperings: [what: string, statements: string[], kind: string, sequence: number, options?: string[]][] = [
  ['an actor changed', [`update audit.entries set actor_id = 'somebody-else' where ${entryOf(7)}`], 'changed', 7],
  [
    'a time moved by a millisecond',
    [`update audit.entries set at = at + interval '1 ms' where ${entryOf(15)}`],
    'changed',
    15,
  ],
  ['an entry removed', [`delete from audit.entries where ${entryOf(12)}`], 'removed', 12],
  [
    'an entry removed and the others moved up',
    [
      'delete from audit.seals where sequence = 12',
      'update audit.seals set sequence = sequence + 1000000 where sequence > 12',
      'update audit.seals set sequence = sequence - 1000001 where sequence > 1000000',
      'update audit.chain_head set sequence = 34',
    ],
    'removed',
    12,
  ],
  [
    'two entries swapped',
    [
      `update audit.seals set position = -position where sequence in (21, 23)`,
      `update audit.seals a set position = -b.position from (select * from audit.seals) b
        where (a.sequence, b.sequence) in ((21, 23), (23, 21))`,
    ],
    'reordered',
    21,
  ],
  ['the tail cut off with its checkpoints', cutAfter(25), 'truncated', 26, ['--checkpoint', saved]],
  ['a checkpoint removed', ['delete from audit.checkpoints where number = 2'], 'checkpoint_mismatch', 11],
];

for (const [what, statements, kind, sequence, options = []] of tamperings) {
  test(`${what}: named`, async () => {
    await run(...statements);
    const { exit, answer } = await verify(...options);
    await restore();
    assert.equal(exit, 3, JSON.stringify(answer));
    assert.equal(answer['code'], 'cli.not_verified');
    const problem = answer['first_problem'] as JsonObject;
    assert.deepEqual([problem['kind'], problem['sequence']], [kind, sequence], JSON.stringify(answer));
  });
}

test('an entry rewritten with every hash after it contradicts a signature', async () => {
  const entries = await db.read((tx) => listSealed(tx, 1, 100, 100));
  await asOwner(async (tx) => {
    await sql.raw(`update audit.entries set reason = 'nothing to see here' where ${entryOf(14)}`).execute(tx);
    let previous = { sequence: 13, hash: entries[12]?.hash ?? '' };
    for (const { sequence, previous_hash: _previous, hash: _hash, ...entry } of entries.slice(13)) {
      const forged = sealEntry(sequence === 14 ? { ...entry, reason: 'nothing to see here' } : entry, previous);
      await sql`update audit.seals set previous_hash = decode(${forged.previous_hash}, 'hex'), hash = decode(${forged.hash}, 'hex')
        where sequence = ${sequence}`.execute(tx);
      previous = { sequence, hash: forged.hash };
    }
  });
  const { exit, answer } = await verify();
  assert.equal(exit, 3);
  const problem = answer['first_problem'] as JsonObject;
  assert.deepEqual([problem['kind'], problem['sequence']], ['checkpoint_mismatch', 20]);
});
