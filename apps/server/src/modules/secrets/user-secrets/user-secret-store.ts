import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { SecretSubject, UserSecret } from './user-secret.ts';

interface SecretRow {
  id: string;
  organization: string;
  issuer: string;
  subject: string;
  status: string;
  created_at: Date;
  destroy_at: Date | null;
  destroyed_at: Date | null;
}

const toSecret = (row: SecretRow): UserSecret => ({
  id: row.id,
  organization: row.organization,
  issuer: row.issuer,
  subject: row.subject,
  status: row.status as UserSecret['status'],
  createdAt: row.created_at,
  ...(row.destroy_at === null ? {} : { destroyAt: row.destroy_at }),
  ...(row.destroyed_at === null ? {} : { destroyedAt: row.destroyed_at }),
});

const columns = [
  'id',
  'organization',
  'issuer',
  'subject',
  'status',
  'created_at',
  'destroy_at',
  'destroyed_at',
] as const;

const forRelease = {
  name: 'secrets_find_for_release',
  // The share lock makes a destruction wait for the releases under way, and them see the end of it. One order of
  // locking for all, so that no two crowds wait for each other.
  text: `select s.id, s.organization, s.issuer, s.subject, s.status, s.created_at, s.destroy_at, s.destroyed_at, s.sealed
    from secrets.user_secrets s
    where (s.organization, s.issuer, s.subject) in (select * from unnest($1::text[], $2::text[], $3::text[]))
    order by s.id for share`,
};

/** A secret with its sealed value, which is gone when it was destroyed. */
export interface FoundSecret {
  readonly secret: UserSecret;
  readonly sealed: Uint8Array | undefined;
}

/** The secrets of these subjects, in their order, locked against destruction until the transaction ends. */
export async function findSecretsForRelease(
  tx: Tx,
  subjects: readonly SecretSubject[],
): Promise<(FoundSecret | undefined)[]> {
  const rows = await named<SecretRow & { sealed: Buffer | null }>(tx, forRelease, [
    subjects.map((one) => one.organization),
    subjects.map((one) => one.issuer),
    subjects.map((one) => one.subject),
  ]);
  const keyOf = (one: SecretSubject) => JSON.stringify([one.organization, one.issuer, one.subject]);
  const found = new Map(rows.map((row) => [keyOf(row), { secret: toSecret(row), sealed: row.sealed ?? undefined }]));
  return subjects.map((one) => found.get(keyOf(one)));
}

/** Writes a new secret; false when the subject got one in the meantime. */
export async function insertSecret(tx: Tx, secret: UserSecret, sealed: Uint8Array): Promise<boolean> {
  const row = await tx
    .insertInto('secrets.user_secrets')
    .values({
      id: secret.id,
      organization: secret.organization,
      issuer: secret.issuer,
      subject: secret.subject,
      status: secret.status,
      created_at: secret.createdAt,
      sealed,
    })
    .onConflict((conflict) => conflict.columns(['organization', 'issuer', 'subject']).doNothing())
    .returning('id')
    .executeTakeFirst();
  return row !== undefined;
}

/** The secret of this id in this organization, locked. */
export async function findSecretForUpdate(tx: Tx, organization: string, id: string): Promise<UserSecret | undefined> {
  const row = await tx
    .selectFrom('secrets.user_secrets')
    .select(columns)
    .where('organization', '=', organization)
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst();
  return row && toSecret(row);
}

/** The secret of this id in this organization. */
export async function findSecret(tx: Reader, organization: string, id: string): Promise<UserSecret | undefined> {
  const row = await tx
    .selectFrom('secrets.user_secrets')
    .select(columns)
    .where('organization', '=', organization)
    .where('id', '=', id)
    .executeTakeFirst();
  return row && toSecret(row);
}

/** Secrets of an organization by id, from after `afterId`; of one subject when it is named. */
export async function listSecrets(
  tx: Reader,
  organization: string,
  options: { limit: number; afterId?: string | undefined; subject?: string | undefined },
): Promise<UserSecret[]> {
  let query = tx
    .selectFrom('secrets.user_secrets')
    .select(columns)
    .where('organization', '=', organization)
    .orderBy('id')
    .limit(options.limit);
  if (options.subject !== undefined) query = query.where('subject', '=', options.subject);
  if (options.afterId !== undefined) query = query.where('id', '>', options.afterId);
  return (await query.execute()).map(toSecret);
}

/** Sets a destruction for a time to come. */
export async function updateSecretScheduled(tx: Tx, id: string, destroyAt: Date): Promise<void> {
  await tx
    .updateTable('secrets.user_secrets')
    .set({ status: 'scheduled', destroy_at: destroyAt })
    .where('id', '=', id)
    .execute();
}

/** Takes a scheduled destruction back. */
export async function updateSecretRestored(tx: Tx, id: string): Promise<void> {
  await tx
    .updateTable('secrets.user_secrets')
    .set({ status: 'active', destroy_at: null })
    .where('id', '=', id)
    .execute();
}

/** Erases the sealed value for good; the row stays. */
export async function updateSecretDestroyed(tx: Tx, id: string, at: Date): Promise<void> {
  await tx
    .updateTable('secrets.user_secrets')
    .set({ status: 'destroyed', sealed: null, destroy_at: null, destroyed_at: at })
    .where('id', '=', id)
    .execute();
}

/** Secrets whose destruction is due, locked; those another node is destroying are passed over. */
export async function listDueForUpdate(tx: Tx, now: Date, limit: number): Promise<UserSecret[]> {
  const rows = await tx
    .selectFrom('secrets.user_secrets')
    .select(columns)
    .where('status', '=', 'scheduled')
    .where('destroy_at', '<=', now)
    .orderBy('destroy_at')
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute();
  return rows.map(toSecret);
}
