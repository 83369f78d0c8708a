import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Db, isAppError } from '../../kernel/index.ts';
import { createKeysFixture } from './keys-fixture.ts';

const fixture = await createKeysFixture();
const { keys, db } = await fixture.node();
const place = { organization: 'acme', schema: 'secrets', table: 'user_secrets', rowId: 'row-1', owner: 'user-1' };
const secret = new TextEncoder().encode('canary-plain-text');
const cannotOpen = (error: unknown) => isAppError(error, 'keys.cannot_open');
const sealIn = (one: Db) => one.transaction((tx) => keys.seal(tx, place, secret));

test('a sealed value opens at its place, on another node too, and is not readable', async () => {
  const sealed = await sealIn(db);
  assert.equal(Buffer.from(sealed).includes(Buffer.from(secret)), false);
  assert.deepEqual(await db.read((tx) => keys.open(tx, place, sealed)), secret);
  const other = await fixture.node();
  assert.deepEqual(await other.db.read((tx) => other.keys.open(tx, place, sealed)), secret);
});

test('a value moved to another place, or changed, does not open', async () => {
  const sealed = await sealIn(db);
  for (const [member, value] of Object.entries({
    organization: 'other',
    schema: 'keys',
    table: 'other',
    rowId: 'row-2',
    owner: 'user-2',
  })) {
    const moved = { ...place, [member]: value };
    await assert.rejects(
      db.read((tx) => keys.open(tx, moved, sealed)),
      cannotOpen,
      member,
    );
  }
  for (const index of [0, 5, sealed.length - 1]) {
    const changed = Uint8Array.from(sealed);
    changed[index] = (changed[index] ?? 0) ^ 1;
    await assert.rejects(
      db.read((tx) => keys.open(tx, place, changed)),
      cannotOpen,
    );
  }
  await assert.rejects(
    db.read((tx) => keys.open(tx, place, secret)),
    cannotOpen,
  );
});

test('organizations have data keys of their own', async () => {
  const other = { ...place, organization: 'globex' };
  const sealed = await db.transaction((tx) => keys.seal(tx, other, secret));
  await assert.rejects(
    db.read((tx) => keys.open(tx, place, sealed)),
    cannotOpen,
  );
  assert.deepEqual(await db.read((tx) => keys.open(tx, other, sealed)), secret);
});

test('a data key made in a transaction that rolls back is forgotten', async () => {
  const lost = { ...place, organization: 'rolled-back' };
  await assert.rejects(
    db.transaction(async (tx) => {
      await keys.seal(tx, lost, secret);
      await keys.seal(tx, lost, secret);
      throw new Error('rolled back on purpose');
    }),
    /on purpose/,
  );
  const sealed = await db.transaction((tx) => keys.seal(tx, lost, secret));
  const other = await fixture.node();
  assert.deepEqual(await other.db.read((tx) => other.keys.open(tx, lost, sealed)), secret);
});

test('an organization gets one data key, however many nodes seal for it first', async () => {
  const fresh = { ...place, organization: 'fresh' };
  const nodes = [await fixture.node(), await fixture.node(), await fixture.node()];
  const sealed = await Promise.all(
    nodes.flatMap((node) => [1, 2, 3].map(() => node.db.transaction((tx) => node.keys.seal(tx, fresh, secret)))),
  );
  for (const value of sealed) assert.deepEqual(await db.read((tx) => keys.open(tx, fresh, value)), secret);
});
