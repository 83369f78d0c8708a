import { sql } from 'kysely';
import type { Reader, Tx } from '../../kernel/index.ts';

/** A root key the store knows: its canary, and whether it still wraps data keys. */
export interface RootKeyRow {
  readonly id: string;
  readonly verifier: Uint8Array;
  readonly retired: boolean;
}

/** One node at a time opens or replaces the root key. Held to the end of the transaction. */
export async function lockRootKeys(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(7240811003)`.execute(tx);
}

/** All root keys, oldest first. */
export async function listRootKeys(tx: Reader): Promise<RootKeyRow[]> {
  const rows = await tx.selectFrom('keys.root_keys').selectAll().orderBy('created_at').orderBy('id').execute();
  return rows.map((row) => ({ id: row.id, verifier: row.verifier, retired: row.retired_at !== null }));
}

/** Stores a root key's canary. */
export async function insertRootKey(tx: Tx, row: { id: string; verifier: Uint8Array; createdAt: Date }): Promise<void> {
  await tx
    .insertInto('keys.root_keys')
    .values({ id: row.id, verifier: row.verifier, created_at: row.createdAt })
    .execute();
}

/** Retires every root key but one; their wraps are erased. */
export async function retireOtherRootKeys(tx: Tx, keepId: string, now: Date): Promise<void> {
  await tx
    .updateTable('keys.root_keys')
    .set({ retired_at: now })
    .where('id', '!=', keepId)
    .where('retired_at', 'is', null)
    .execute();
  await tx.deleteFrom('keys.data_key_wraps').where('root_key_id', '!=', keepId).execute();
}

/** True when the store holds any data key. */
export async function hasDataKeys(tx: Reader): Promise<boolean> {
  const row = await tx.selectFrom('keys.data_keys').select('id').limit(1).executeTakeFirst();
  return row !== undefined;
}

/** Data keys that `rootKeyId` does not wrap yet, with their wrap by `fromRootKeyId` when there is one. */
export async function listUnwrapped(
  tx: Reader,
  rootKeyId: string,
  fromRootKeyId: string | undefined,
  limit: number,
): Promise<{ id: string; organization: string; wrapped: Uint8Array | undefined }[]> {
  const rows = await tx
    .selectFrom('keys.data_keys as d')
    .leftJoin('keys.data_key_wraps as w', (join) =>
      join.onRef('w.data_key_id', '=', 'd.id').on('w.root_key_id', '=', fromRootKeyId ?? ''),
    )
    .select(['d.id', 'd.organization', 'w.wrapped'])
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('keys.data_key_wraps as own')
            .select('own.data_key_id')
            .whereRef('own.data_key_id', '=', 'd.id')
            .where('own.root_key_id', '=', rootKeyId),
        ),
      ),
    )
    .orderBy('d.id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({ id: row.id, organization: row.organization, wrapped: row.wrapped ?? undefined }));
}
