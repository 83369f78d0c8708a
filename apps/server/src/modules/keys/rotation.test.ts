import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { verifyCompactJws } from '@gatehouse/crypto';
import { sql } from 'kysely';
import { type Db, isAppError } from '../../kernel/index.ts';
import { createKeysFixture, fastKeyrings, type KeysNode, origin } from './keys-fixture.ts';

const day = 86_400;
const ring = 'tokens-es256';
const manual = { keyring: ring, organization: 'gatehouse', origin, force: false };

/** Waits for a condition, not for a time; fails after ten seconds. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await condition())) {
    assert.ok(performance.now() < end, 'the condition did not come true');
    await nextTurn();
  }
}

const keyRows = (db: Db, name = ring) =>
  db.read((tx) => tx.selectFrom('keys.keys').selectAll().where('keyring', '=', name).orderBy('created_at').execute());
const rotations = (db: Db, action = 'keys.rotated') =>
  db.read((tx) => tx.selectFrom('audit.entries').selectAll().where('action', '=', action).execute());
const kids = ({ keys }: KeysNode) => keys.verificationKeys().map((key) => `${key.kid}:${key.state}`);
const settled = (nodes: KeysNode[]) => until(() => new Set(nodes.map((node) => kids(node).join())).size === 1);

async function verifiedBy(node: KeysNode, token: string): Promise<string | undefined> {
  const { header } = await verifyCompactJws(token, {
    findKey: ({ kid }) => node.keys.findVerificationKey(kid as string),
  });
  return String(header.kid);
}

test('three nodes that start together make each keyring once: one valid key and the next one', async () => {
  const fixture = await createKeysFixture();
  const nodes = await Promise.all([fixture.node(), fixture.node(), fixture.node()]);
  for (const { name } of fastKeyrings) {
    const states = (await keyRows(nodes[0].db, name)).map((row) => row.state);
    assert.deepEqual(states.sort(), ['created', 'valid'], name);
  }
  assert.equal(new Set(nodes.map((node) => kids(node).join())).size, 1);
});

test('a due rotation happens once, however many nodes try, and every node follows', async () => {
  const fixture = await createKeysFixture();
  const nodes = [await fixture.node(), await fixture.node(), await fixture.node()] as const;
  const [before] = nodes[0].keys.verificationKeys();
  fixture.clock.advance(90 * day + 1);
  const counts = await Promise.all(nodes.map((node) => node.keys.rotateDue()));
  // tokens-es256 and pop-ec are due, each for one node
  assert.equal(
    counts.reduce((sum, count) => sum + count),
    2,
  );
  await settled([...nodes]);
  const rows = await keyRows(nodes[0].db);
  assert.deepEqual(rows.map((row) => row.state).sort(), ['created', 'legacy', 'valid']);
  assert.equal(rows.find((row) => row.kid === before?.kid)?.state, 'legacy');
  const entries = await rotations(nodes[0].db);
  assert.equal(entries.length, 2);
  const entry = entries.find((one) => one.target_id === ring);
  assert.ok(entry);
  assert.deepEqual(
    (entry.details as { jwks: { keys: { kid: string }[] } }).jwks.keys.map((key) => key.kid).sort(),
    rows.map((row) => row.kid).sort(),
  );
});

test('three nodes told to rotate at once rotate once; the next time waits until caches have the next key', async () => {
  const fixture = await createKeysFixture();
  const nodes = [await fixture.node(), await fixture.node(), await fixture.node()] as const;
  const results = await Promise.allSettled(nodes.map((node) => node.keys.rotateKeyring(manual)));
  assert.equal(results.filter((one) => one.status === 'fulfilled' && one.value).length, 1);
  for (const one of results) {
    assert.ok(one.status === 'fulfilled' || isAppError(one.reason, 'keys.not_ready'));
  }
  assert.equal((await keyRows(nodes[0].db)).length, 3);
  assert.equal((await rotations(nodes[0].db)).length, 1);
  await assert.rejects(nodes[1].keys.rotateKeyring(manual), (error: unknown) => {
    assert.ok(isAppError(error, 'keys.not_ready'));
    assert.equal(error.headers['retry-after'], '600');
    assert.equal(error.extensions['ready_at'], '2026-01-01T00:10:00.000Z');
    return true;
  });
  assert.equal(await nodes[1].keys.rotateKeyring({ ...manual, force: true }), true);
  fixture.clock.advance(600);
  assert.equal(await nodes[2].keys.rotateKeyring(manual), true);
  await assert.rejects(nodes[0].keys.rotateKeyring({ ...manual, keyring: 'nothing' }), (error: unknown) =>
    isAppError(error, 'kernel.not_found'),
  );
  await assert.rejects(nodes[0].keys.rotateKeyring({ ...manual, organization: 'acme' }), (error: unknown) =>
    isAppError(error, 'kernel.not_found'),
  );
});

test('while keys rotate on three nodes, all sign and verify what the others signed', async () => {
  const fixture = await createKeysFixture();
  const nodes = [await fixture.node(), await fixture.node(), await fixture.node()] as const;
  const stop = new AbortController();
  const used = new Set<string>();
  const signing = nodes.map(async (node, index) => {
    const other = nodes[(index + 1) % 3] ?? nodes[0];
    let count = 0;
    while (!stop.signal.aborted) {
      const token = await node.keys.sign({ keyring: ring, header: { typ: 'at+jwt' }, payload: { sub: 'user-1' } });
      used.add((await verifiedBy(other, token)) ?? '');
      count += 1;
      if (count % 5 === 0) await nextTurn();
    }
    return count;
  });
  for (let round = 0; round < 6; round += 1) {
    const node = nodes[round % 3] ?? nodes[0];
    await node.keys.rotateKeyring({ ...manual, force: true });
    await settled([...nodes]);
  }
  stop.abort();
  const counts = await Promise.all(signing);
  assert.ok(counts.every((count) => count > 0));
  assert.ok(used.size >= 2);
});

test('a node killed in the middle of a rotation has changed nothing, and another node rotates', async () => {
  const fixture = await createKeysFixture();
  const node = await fixture.node();
  const before = await keyRows(node.db);
  const victim = fork(join(import.meta.dirname, 'rotation-victim.ts'), [fixture.connectionString, ring], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await once(victim, 'message'); // its transaction has written everything but the audit entry
  victim.kill('SIGKILL');
  await once(victim, 'exit');
  assert.deepEqual(await keyRows(node.db), before);
  await until(() => node.keys.rotateKeyring({ ...manual, force: true }));
  assert.equal((await keyRows(node.db)).length, 3);
  assert.equal((await rotations(node.db)).length, 1);
});

test('when rotation fails the next key serves, then signing stops with an alarm; it recovers by itself', async () => {
  const fixture = await createKeysFixture();
  const node = await fixture.node();
  const { keys, db } = node;
  const next = keys.verificationKeys().find((key) => key.state === 'created');
  await db.transaction(async (tx) => {
    await sql`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no rotation today'; end $$`.execute(
      tx,
    );
    await sql`create trigger refuse before update on keys.keyrings for each row execute function refuse()`.execute(tx);
  });
  let changes = 0;
  keys.onChange(() => {
    changes += 1;
  });
  fixture.clock.advance(90 * day + 1);
  assert.equal(await keys.rotateDue(), 0);
  assert.equal(changes, 1, 'listeners hear that another key is in use');
  const token = await keys.sign({ keyring: ring, payload: { sub: 'user-1' } });
  assert.equal(await verifiedBy(node, token), next?.kid);
  assert.equal(keys.signingJwks().keys[0]?.kid, next?.kid);
  assert.doesNotMatch(keys.problem() ?? '', /tokens-es256/);

  fixture.clock.advance(90 * day);
  assert.equal(await keys.rotateDue(), 0);
  await assert.rejects(keys.sign({ keyring: ring, payload: {} }), (error: unknown) =>
    isAppError(error, 'keys.no_valid_key'),
  );
  assert.deepEqual(keys.signingJwks().keys, []);
  assert.match(keys.problem() ?? '', /tokens-es256/);
  assert.ok(fixture.logLines.some((line) => line.includes('ALARM') && line.includes(ring)));
  const metrics = await node.metrics.registry.metrics();
  assert.match(metrics, /gatehouse_keyring_usable\{keyring="tokens-es256"\} 0/);
  assert.match(metrics, /gatehouse_key_rotation_failures_total\{keyring="tokens-es256"\} 2/);
  const firstKid = (await keyRows(db)).find((row) => row.state === 'valid')?.kid ?? '';
  assert.equal(keys.findVerificationKey(firstKid), undefined, 'a key past its last instant verifies nothing');

  await db.transaction((tx) => sql`drop trigger refuse on keys.keyrings`.execute(tx));
  await keys.rotateDue();
  assert.equal(await verifiedBy(node, await keys.sign({ keyring: ring, payload: {} })), next?.kid);
  assert.equal(keys.problem(), undefined);
});

test('an expired key is gone from the documents, its private part is erased; audit keys stay for ever', async () => {
  const fixture = await createKeysFixture();
  const { keys, db } = await fixture.node();
  const [first] = keys.verificationKeys();
  const checkpoint = await keys.sign({ keyring: 'audit', payload: { number: 1 } });
  for (let month = 0; month < 14; month += 1) {
    fixture.clock.advance(30 * day + 1);
    await keys.rotateDue();
  }
  assert.equal(keys.findVerificationKey(first?.kid ?? ''), undefined);
  const row = (await keyRows(db)).find((one) => one.kid === first?.kid);
  assert.equal(row?.state, 'expired');
  assert.equal(row?.private_sealed, null);
  const auditKey = keys.auditKeys()[0];
  assert.ok(auditKey && keys.auditKeys().length === 3);
  assert.equal((await keyRows(db, 'audit')).find((one) => one.kid === auditKey.kid)?.state, 'expired');
  assert.equal(JSON.parse(Buffer.from(checkpoint.split('.')[0] ?? '', 'base64url').toString()).kid, auditKey.kid);
  assert.equal(auditKey.exp, Date.UTC(2027, 0, 1) / 1000);
});

test('a compromised key is refused at once on every node and replaced', async () => {
  const fixture = await createKeysFixture();
  const nodes = [await fixture.node(), await fixture.node()] as const;
  const [{ keys, db }, other] = nodes;
  const token = await keys.sign({ keyring: ring, payload: { sub: 'user-1' } });
  const kid = (await verifiedBy(other, token)) ?? '';
  const input = { keyring: ring, kid, organization: 'gatehouse', origin };
  assert.equal(await keys.compromiseKey(input), true);
  assert.equal(keys.findVerificationKey(kid), undefined);
  await until(() => other.keys.findVerificationKey(kid) === undefined);
  assert.ok(!keys.jwks().body.keys.some((key) => key.kid === kid));
  const renewed = await keys.sign({ keyring: ring, payload: { sub: 'user-1' } });
  assert.notEqual(await verifiedBy(other, renewed), kid);
  const rows = await keyRows(db);
  assert.deepEqual(rows.map((row) => row.state).sort(), ['compromised', 'created', 'valid']);
  assert.equal(rows.find((row) => row.kid === kid)?.private_sealed, null);
  assert.equal(await keys.compromiseKey(input), false, 'twice is once');
  const entries = await rotations(db, 'keys.compromised');
  assert.deepEqual(
    entries.map((entry) => [entry.target_id, entry.actor_id]),
    [[kid, 'operator-1']],
  );
  const auditKid = keys.auditKeys()[0]?.kid ?? '';
  await keys.compromiseKey({ ...input, keyring: 'audit', kid: auditKid });
  assert.deepEqual(keys.auditKeys().find((key) => key.kid === auditKid)?.revoked, {
    revoked_at: Date.UTC(2026, 0, 1) / 1000,
  });
});

test('no private member is in any table, log line or document', async () => {
  const fixture = await createKeysFixture();
  const { keys, db } = await fixture.node();
  await keys.rotateKeyring(manual);
  const canaries = keys.signingJwks().keys.map((key) => key.d);
  assert.ok(canaries.length >= 2);
  const tables = await db.read((tx) =>
    sql<{ name: string }>`select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname in ('keys', 'audit', 'kernel', 'graphile_worker')`.execute(tx),
  );
  const dump: string[] = [...fixture.logLines, keys.jwks().text, keys.pop().text, JSON.stringify(keys.auditKeys())];
  for (const { name } of tables.rows) {
    const rows = await db.read((tx) => sql<{ row: string }>`select t::text as row from ${sql.raw(name)} t`.execute(tx));
    dump.push(...rows.rows.map(({ row }) => row));
  }
  const text = dump.join('\n');
  assert.ok(text.includes(keys.signingJwks().keys[0]?.kid ?? 'missing'), 'the dump holds the public half');
  for (const canary of canaries) {
    const bytes = Buffer.from(canary, 'base64url');
    for (const form of [canary, bytes.toString('hex'), bytes.toString('base64'), Buffer.from(canary).toString('hex')]) {
      assert.equal(text.includes(form), false);
    }
  }
  for (const member of ['"d"', '"p"', '"q"', '"dp"', '"dq"', '"qi"', '"k"'])
    assert.equal(text.includes(`${member}:`), false);
});
