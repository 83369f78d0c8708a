import { named, type Reader, type Tx } from '../../kernel/index.ts';

/** A data key as stored: wrapped, with the root key that wrapped it. */
export interface DataKeyRow {
  readonly id: string;
  readonly root_key_id: string | null;
  readonly wrapped: Uint8Array | null;
  /** Written by this very transaction, which may yet roll back. */
  readonly uncommitted: boolean;
}

const findStatement = {
  name: 'keys_find_data_key',
  text: `select d.id, w.root_key_id, w.wrapped,
      coalesce(d.xmin::text = (pg_current_xact_id_if_assigned()::text::numeric % 4294967296)::text, false) as uncommitted
    from keys.data_keys d
    left join keys.data_key_wraps w on w.data_key_id = d.id and w.root_key_id = any ($2::text[])
    where d.organization = $1`,
};

/** The data key of an organization, one row per wrap by one of these root keys; no row: it has none yet. */
export async function listDataKeyWraps(
  tx: Reader,
  organization: string,
  rootKeyIds: readonly string[],
): Promise<DataKeyRow[]> {
  return named<DataKeyRow>(tx, findStatement, [organization, rootKeyIds]);
}

/** Makes the row of a data key; false when the organization has one already (another transaction was first). */
export async function insertDataKey(
  tx: Tx,
  row: { id: string; organization: string; createdAt: Date },
): Promise<boolean> {
  const inserted = await tx
    .insertInto('keys.data_keys')
    .values({ id: row.id, organization: row.organization, created_at: row.createdAt })
    .onConflict((conflict) => conflict.column('organization').doNothing())
    .returning('id')
    .executeTakeFirst();
  return inserted !== undefined;
}

/** Which of these root keys may wrap; they cannot be retired before the transaction ends. */
export async function lockActiveRootKeys(tx: Tx, ids: readonly string[]): Promise<string[]> {
  const rows = await tx
    .selectFrom('keys.root_keys')
    .select('id')
    .where('id', 'in', ids)
    .where('retired_at', 'is', null)
    .forShare()
    .execute();
  return rows.map((row) => row.id);
}

/** Stores wraps; one that is there already stays. */
export async function insertWraps(
  tx: Tx,
  wraps: readonly { dataKeyId: string; rootKeyId: string; wrapped: Uint8Array }[],
): Promise<void> {
  if (wraps.length === 0) return;
  await tx
    .insertInto('keys.data_key_wraps')
    .values(wraps.map((wrap) => ({ data_key_id: wrap.dataKeyId, root_key_id: wrap.rootKeyId, wrapped: wrap.wrapped })))
    .onConflict((conflict) => conflict.columns(['data_key_id', 'root_key_id']).doNothing())
    .execute();
}
