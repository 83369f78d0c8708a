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
  // The share lock makes a destruction wait for the releases under way, and them see the end of it.
  text: `select id, organization, issuer, subject, status, created_at, destroy_at, destroyed_at, sealed
    from secrets.user_secrets where organization = $1 and issuer = $2 and subject = $3 for share`,
};

/** The secret of a subject with its sealed value, locked against destruction until the transaction ends. */
export async function findSecretForRelease(
  tx: Tx,
  whose: SecretSubject,
): Promise<{ secret: UserSecret; sealed: Uint8Array | undefined } | undefined> {
  const values = [whose.organization, whose.issuer, whose.subject];
  const [row] = await named<SecretRow & { sealed: Buffer | null }>(tx, forRelease, values);
  return row && { secret: toSecret(row), sealed: row.sealed ?? undefined };
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
