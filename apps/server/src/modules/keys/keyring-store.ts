import type { KeyPairAlgorithm, PublicJwk } from '@gatehouse/crypto';
import type { Selectable } from 'kysely';
import { named, type Reader, type Tx } from '../../kernel/index.ts';
import type { Database } from '../../tables.ts';
import type { Keyring, KeyringDefinition, KeyringPolicy, KeyringPurpose, KeyState, StoredKey } from './key.ts';

type KeyringRow = Selectable<Database['keys.keyrings']>;
type KeyRow = Selectable<Database['keys.keys']>;

/** Every keyring, by name. */
export async function listKeyrings(tx: Reader): Promise<Keyring[]> {
  const rows = await tx.selectFrom('keys.keyrings').selectAll().orderBy('name').execute();
  return rows.map(toKeyring);
}

/** A page of the keyrings of an organization: those after `afterName`, one more than `limit` if there are more. */
export async function listKeyringsOf(
  tx: Reader,
  organization: string,
  page: { afterName: string; limit: number },
): Promise<Keyring[]> {
  const rows = await tx
    .selectFrom('keys.keyrings')
    .selectAll()
    .where('organization', '=', organization)
    .where('name', '>', page.afterName)
    .orderBy('name')
    .limit(page.limit + 1)
    .execute();
  return rows.map(toKeyring);
}

/** A keyring; undefined when there is none of this name. */
export async function findKeyring(tx: Reader, name: string): Promise<Keyring | undefined> {
  const row = await tx.selectFrom('keys.keyrings').selectAll().where('name', '=', name).executeTakeFirst();
  return row && toKeyring(row);
}

/** A keyring, locked to the end of the transaction: the lock that makes a rotation happen once per cluster. */
export async function findKeyringForUpdate(tx: Tx, name: string): Promise<Keyring | undefined> {
  const row = await tx.selectFrom('keys.keyrings').selectAll().where('name', '=', name).forUpdate().executeTakeFirst();
  return row && toKeyring(row);
}

/** Makes a keyring; false when another transaction made it first. */
export async function insertKeyring(tx: Tx, definition: KeyringDefinition, now: Date): Promise<boolean> {
  const { policy } = definition;
  const row = await tx
    .insertInto('keys.keyrings')
    .values({
      name: definition.name,
      organization: definition.organization,
      purpose: definition.purpose,
      use: definition.use,
      algorithm: definition.algorithm,
      key_bits: definition.keyBits ?? null,
      ...policyColumns(policy),
      created_at: now,
    })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returning('name')
    .executeTakeFirst();
  return row !== undefined;
}

/** Counts one more change of the keyring's keys. The caller holds its lock. */
export async function bumpKeyring(tx: Tx, name: string): Promise<void> {
  await tx
    .updateTable('keys.keyrings')
    .set(({ eb }) => ({ version: eb('version', '+', '1') }))
    .where('name', '=', name)
    .execute();
}

/** Replaces the policy. The caller holds the keyring's lock. */
export async function updatePolicy(tx: Tx, name: string, policy: KeyringPolicy): Promise<void> {
  await tx.updateTable('keys.keyrings').set(policyColumns(policy)).where('name', '=', name).execute();
}

/** Every key of a keyring, oldest first. */
export async function listKeysOf(tx: Reader, keyring: string): Promise<StoredKey[]> {
  const rows = await tx
    .selectFrom('keys.keys')
    .selectAll()
    .where('keyring', '=', keyring)
    .orderBy('created_at')
    .orderBy('not_before')
    .orderBy('kid')
    .execute();
  return rows.map(toKey);
}

const loadStatement = {
  name: 'keys_list_live_keys',
  text: `select k.* from keys.keys k join keys.keyrings r on r.name = k.keyring
    where k.state in ('created', 'valid', 'legacy') or r.purpose in ('audit', 'configuration')
    order by k.created_at, k.not_before, k.kid`,
};

/** The keys a node keeps in memory: those in use or accepted, and of what is verified for ever all that ever were. */
export async function listLiveKeys(tx: Reader): Promise<StoredKey[]> {
  return (await named<KeyRow>(tx, loadStatement, [])).map(toKey);
}

/** Stores a new key. */
export async function insertKey(tx: Tx, key: StoredKey): Promise<void> {
  await tx
    .insertInto('keys.keys')
    .values({
      kid: key.kid,
      keyring: key.keyring,
      state: key.state,
      created_at: key.createdAt,
      ready_at: key.readyAt,
      not_before: key.notBefore,
      not_after: key.notAfter ?? null,
      expire_at: key.expireAt ?? null,
      public_jwk: JSON.stringify(key.publicJwk),
      private_sealed: key.privateSealed ?? null,
    })
    .execute();
}

/** Moves a key on with new times. The caller holds the keyring's lock. */
export async function updateKeyState(
  tx: Tx,
  kid: string,
  change: { state: 'valid' | 'legacy'; notBefore?: Date; notAfter: Date; expireAt: Date },
): Promise<void> {
  await tx
    .updateTable('keys.keys')
    .set({
      state: change.state,
      not_after: change.notAfter,
      expire_at: change.expireAt,
      ...(change.notBefore ? { not_before: change.notBefore } : {}),
    })
    .where('kid', '=', kid)
    .execute();
}

/** Moves the times of a key without changing its state. The caller holds the keyring's lock. */
export async function updateKeyTimes(
  tx: Tx,
  kid: string,
  times: { notBefore?: Date; notAfter?: Date; expireAt?: Date },
): Promise<void> {
  await tx
    .updateTable('keys.keys')
    .set({
      ...(times.notBefore ? { not_before: times.notBefore } : {}),
      ...(times.notAfter ? { not_after: times.notAfter } : {}),
      ...(times.expireAt ? { expire_at: times.expireAt } : {}),
    })
    .where('kid', '=', kid)
    .execute();
}

/** Ends a key: its private part is erased with the state. The caller holds the keyring's lock. */
export async function endKey(tx: Tx, kid: string, state: 'expired' | 'compromised', now: Date): Promise<void> {
  await tx
    .updateTable('keys.keys')
    .set({ state, ended_at: now, private_sealed: null })
    .where('kid', '=', kid)
    .execute();
}

function policyColumns(policy: KeyringPolicy) {
  return {
    validity_seconds: policy.validitySeconds,
    legacy_seconds: policy.legacySeconds,
    publish_before_seconds: policy.publishBeforeSeconds,
    min_keys: policy.minKeys,
    check_interval_seconds: policy.checkIntervalSeconds,
    initial_count: policy.initialCount,
  };
}

function toKeyring(row: KeyringRow): Keyring {
  return {
    name: row.name,
    organization: row.organization,
    purpose: row.purpose as KeyringPurpose,
    use: row.use as Keyring['use'],
    algorithm: row.algorithm as KeyPairAlgorithm,
    keyBits: (row.key_bits ?? undefined) as Keyring['keyBits'],
    policy: {
      validitySeconds: row.validity_seconds,
      legacySeconds: row.legacy_seconds,
      publishBeforeSeconds: row.publish_before_seconds,
      minKeys: row.min_keys,
      checkIntervalSeconds: row.check_interval_seconds,
      initialCount: row.initial_count,
    },
    version: row.version,
    createdAt: row.created_at,
  };
}

function toKey(row: KeyRow): StoredKey {
  return {
    kid: row.kid,
    keyring: row.keyring,
    state: row.state as KeyState,
    createdAt: row.created_at,
    readyAt: row.ready_at,
    notBefore: row.not_before,
    notAfter: row.not_after ?? undefined,
    expireAt: row.expire_at ?? undefined,
    endedAt: row.ended_at ?? undefined,
    publicJwk: row.public_jwk as unknown as PublicJwk,
    privateSealed: row.private_sealed ?? undefined,
  };
}
