import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { JsonObject } from '@gatehouse/contracts';
import { canonicalJson } from '@gatehouse/crypto';
import { createFakeClock } from '@gatehouse/testkit';
import { sql } from 'kysely';
import type { Tx } from '../../kernel/index.ts';
import { createAuditFixture, origin } from './audit-fixture.ts';
import { insertSeals, listCheckpoints, tryLockHead } from './chain-store.ts';
import type { SealedEntry } from './entry.ts';
import { sealEntry, sha256, zeroHash } from './entry-rules.ts';
import { listSealed, listUnsealed } from './entry-store.ts';

const fixture = await createAuditFixture();
const { db, audit } = fixture;

const append = (text: string, target = audit, database = db) =>
  database.transaction((tx) =>
    target.append(tx, { action: 'test.happened', organization: 'acme', origin, details: { text } }),
  );
const sealed = () => db.read((tx) => listSealed(tx, 1, Number.MAX_SAFE_INTEGER, 100_000));
const waiting = () =>
  db.read(async (tx) =>
    Number((await sql<{ n: string }>`select count(*) as n from audit.unsealed`.execute(tx)).rows[0]?.n),
  );

/** A transaction that has run `work` and stays open until `commit`. */
async function holdOpen(work: (tx: Tx) => Promise<void>): Promise<{ commit(): Promise<void> }> {
  const done = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const transaction = db.transaction(async (tx) => {
    await work(tx).then(done.resolve, done.reject);
    await release.promise;
  });
  await done.promise;
  return {
    async commit() {
      release.resolve();
      await transaction;
    },
  };
}

/** Every link and hash, recomputed; sequences without gap. */
function assertChain(entries: readonly SealedEntry[]): void {
  let previous = { sequence: 0, hash: zeroHash };
  for (const entry of entries) {
    const { sequence, previous_hash, hash, ...content } = entry;
    assert.equal(sequence, previous.sequence + 1);
    assert.equal(previous_hash, previous.hash);
    assert.equal(sealEntry(content, previous).hash, hash);
    previous = { sequence, hash };
  }
}

test('a transaction that rolls back leaves no entry and no gap', async () => {
  await append('kept');
  await assert.rejects(
    db.transaction(async (tx) => {
      await audit.append(tx, { action: 'test.happened', organization: 'acme', origin });
      throw new Error('changed my mind');
    }),
    /changed my mind/,
  );
  await append('kept too');
  assert.equal(await audit.sealPending(), 2);
  const entries = await sealed();
  assertChain(entries);
  assert.deepEqual(
    entries.map((entry) => entry.details),
    [{ text: 'kept' }, { text: 'kept too' }],
  );
});

test('an entry that cannot be written takes its transaction with it', async () => {
  const before = (await sealed()).length + (await waiting());
  await assert.rejects(
    db.transaction((tx) => audit.append(tx, { action: 'Not An Action', organization: 'acme', origin })),
    /not an action name/,
  );
  await assert.rejects(
    db.transaction(async (tx) => {
      const wrongActor = { actor: { type: 'ghost' as never, id: 'x' } };
      await audit.append(tx, { action: 'test.happened', organization: 'acme', origin: wrongActor }).catch(() => {});
    }),
    'a failed append that was caught still cannot commit',
  );
  assert.equal((await sealed()).length + (await waiting()), before);
});

test('three sealers and twenty writers: no gap, no repeat, causes before effects, whatever the clocks say', async () => {
  const already = (await sealed()).length;
  const nodes = [-3600, 0, 3600].map((skewSeconds) => {
    const clock = createFakeClock(new Date(Date.parse('2026-06-01T00:00:00Z') + skewSeconds * 1000));
    return fixture.node({ clock });
  });
  const writing = { on: true };
  const sealers = nodes.map(async (node) => {
    let count = 0;
    while (writing.on) count += await node.audit.sealPending();
    return count;
  });
  const writers = Array.from({ length: 20 }, async (_, writer) => {
    for (let step = 0; step < 15; step += 1) {
      // Each step on another node, whose clock is an hour away from the last one's.
      const node = nodes[(writer + step) % 3] ?? assert.fail();
      await append(`${writer}/${step}`, node.audit, node.db);
    }
  });
  await Promise.all(writers);
  writing.on = false;
  const counts = await Promise.all(sealers);
  const rest = await audit.sealPending();
  const entries = (await sealed()).slice(already);
  assertChain(await sealed());
  assert.equal(entries.length, 300);
  assert.equal(
    counts.reduce((sum, count) => sum + count, rest),
    300,
  );
  assert.equal(await waiting(), 0);
  for (let writer = 0; writer < 20; writer += 1) {
    const own = entries.map((entry) => entry.details['text'] as string).filter((text) => text.startsWith(`${writer}/`));
    assert.deepEqual(
      own,
      Array.from({ length: 15 }, (_, step) => `${writer}/${step}`),
    );
  }
});

test('an entry whose transaction commits late gets its place then, and holds nobody up', async () => {
  const late = await holdOpen((tx) =>
    audit.append(tx, { action: 'test.happened', organization: 'acme', origin, details: { text: 'late' } }),
  );
  await append('early');
  assert.equal(await audit.sealPending(), 1);
  await late.commit();
  assert.equal(await audit.sealPending(), 1);
  const entries = await sealed();
  assertChain(entries);
  assert.deepEqual(
    entries.slice(-2).map((entry) => entry.details['text']),
    ['early', 'late'],
  );
});

test('while one node seals, another neither seals nor waits, and writers write on', async () => {
  const sealing = await holdOpen(async (tx) => assert.equal(await tryLockHead(tx), true));
  await append('one');
  assert.equal(await fixture.node().audit.sealPending(), 0);
  await sealing.commit();
  assert.equal(await audit.sealPending(), 1);
});

test('a sealer that dies between its writes and its commit leaves nothing half', async () => {
  await audit.sealPending();
  const before = await sealed();
  await append('one');
  await append('two');
  const doomed = fixture.node();
  await assert.rejects(
    doomed.db.transaction(async (tx) => {
      assert.equal(await tryLockHead(tx), true);
      const [first] = await listUnsealed(tx, 1);
      const hash = 'ab'.repeat(32);
      await insertSeals(tx, [
        { position: first?.position ?? '', sequence: before.length + 1, previous_hash: hash, hash },
      ]);
      await sql`select pg_terminate_backend(pg_backend_pid())`.execute(tx);
    }),
  );
  assert.equal((await sealed()).length, before.length);
  assert.equal(await audit.sealPending(), 2);
  assertChain(await sealed());
});

test('a running node seals within two seconds, signs, and leaves a signed head when it stops', async () => {
  const node = fixture.node();
  await node.audit.start();
  await append('watched', node.audit, node.db);
  const committedAt = performance.now();
  while ((await waiting()) > 0) {
    assert.ok(performance.now() - committedAt < 30_000, 'the loop does not seal');
    await wait(20);
  }
  console.log(`sealed ${Math.round(performance.now() - committedAt)} ms after the commit`);
  await append('last words', node.audit, node.db);
  await node.audit.stop();
  const entries = await sealed();
  assertChain(entries);
  const checkpoints = await db.read((tx) => listCheckpoints(tx, 0, 1000));
  assert.equal(entries.at(-1)?.details['text'], 'last words');
  assert.equal(checkpoints.at(-1)?.sequence, entries.length);
  assert.equal(checkpoints.at(-1)?.hash, entries.at(-1)?.hash);
});

test('checkpoints are numbered without gap and chained, also when two nodes sign at once', async () => {
  const nodes = [fixture.node(), fixture.node(), fixture.node()];
  for (let round = 0; round < 5; round += 1) {
    await append(`round ${round}`);
    await audit.sealPending();
    const written = await Promise.all(nodes.map((node) => node.audit.writeCheckpoint({ force: true })));
    assert.equal(written.filter(Boolean).length, 1);
  }
  const checkpoints = await db.read((tx) => listCheckpoints(tx, 0, 1000));
  let previous = zeroHash;
  for (const [index, checkpoint] of checkpoints.entries()) {
    const payload: unknown = JSON.parse(Buffer.from(checkpoint.jws.split('.')[1] ?? '', 'base64url').toString());
    assert.deepEqual(payload, {
      type: 'gatehouse-audit-checkpoint',
      version: 1,
      number: index + 1,
      at: checkpoint.at,
      sequence: checkpoint.sequence,
      hash: checkpoint.hash,
      previous,
    });
    previous = sha256(checkpoint.jws);
  }
});

test('nothing is sealed or signed on a head that is not the last seal', async () => {
  const truth = await db.read(
    async (tx) => (await sql<{ hash: Buffer }>`select hash from audit.chain_head`.execute(tx)).rows[0]?.hash,
  );
  const setHead = (hash: Buffer | undefined) =>
    db.transaction(async (tx) => {
      await sql`alter table audit.chain_head disable trigger all`.execute(tx);
      await sql`update audit.chain_head set hash = ${hash}`.execute(tx);
      await sql`alter table audit.chain_head enable trigger all`.execute(tx);
    });
  await setHead(Buffer.alloc(32, 1));
  await append('not on this');
  await assert.rejects(audit.sealPending(), /the chain was changed from outside/);
  await assert.rejects(audit.writeCheckpoint({ force: true }), /the chain was changed from outside/);
  await setHead(truth);
  assert.equal(await audit.sealPending(), 1);
});

test('numbers and texts at the edges come back from the database as they were hashed', async () => {
  const numbers = [-0, 0.1 + 0.2, 1e21, 1e-7, 5e-324, Number.MAX_VALUE, 2 ** 53, -1.5e-300, 100];
  const text = 'NUL \u0000, lone \ud800, e\u0301 and é, 日本 😀 "quoted" \\u0041 \u2028';
  const details: JsonObject = {
    numbers,
    text,
    ['__proto__']: { own: true },
    ключ: null,
    '': 'empty',
    b: [[], {}],
    a: true,
  };
  await db.transaction((tx) =>
    audit.append(tx, {
      action: 'test.happened',
      organization: 'acme',
      origin,
      target: { type: 'x', id: text },
      details,
    }),
  );
  await audit.sealPending();
  const entries = await sealed();
  assertChain(entries);
  const kept = entries.at(-1)?.details ?? {};
  assert.deepEqual(
    kept['numbers'],
    numbers.map((number) => number + 0),
  );
  assert.deepEqual(Object.keys(kept).sort(), Object.keys(details).sort());
  const line = canonicalJson(entries.at(-1));
  assert.equal(canonicalJson(JSON.parse(line)), line);
});

test('the database refuses to change, remove or empty what was recorded', async () => {
  for (const statement of [
    `update audit.entries set outcome = 'failure'`,
    'delete from audit.entries',
    'truncate audit.entries',
    'update audit.seals set sequence = sequence + 1000',
    'delete from audit.seals',
    'truncate audit.seals',
    'delete from audit.checkpoints',
    'truncate audit.unsealed',
    'delete from audit.chain_head',
    'update audit.chain_head set sequence = sequence - 1',
  ]) {
    await assert.rejects(
      db.transaction((tx) => sql.raw(statement).execute(tx)),
      { code: '23001' },
      statement,
    );
  }
  await append('unsealed');
  await assert.rejects(
    db.transaction((tx) => sql`delete from audit.unsealed`.execute(tx)),
    /only when it is sealed/,
  );
});
