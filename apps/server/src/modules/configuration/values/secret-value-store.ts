import type { Reader, Tx } from '../../../kernel/index.ts';

/** Writes a secret value. */
export async function insertSecretValue(
  tx: Tx,
  value: { id: string; namespaceId: string; sealed: Uint8Array; fingerprint: string; createdAt: Date },
): Promise<void> {
  await tx
    .insertInto('configuration.secret_values')
    .values({
      id: value.id,
      namespace_id: value.namespaceId,
      sealed: value.sealed,
      fingerprint: value.fingerprint,
      created_at: value.createdAt,
    })
    .execute();
}

/** The sealed values with these ids, by id; of this namespace only. */
export async function listSecretValues(
  tx: Reader,
  namespaceId: string,
  ids: readonly string[],
): Promise<Map<string, Uint8Array>> {
  const rows = await tx
    .selectFrom('configuration.secret_values')
    .select(['id', 'sealed'])
    .where('namespace_id', '=', namespaceId)
    .where('id', 'in', [...ids])
    .execute();
  return new Map(rows.map((row) => [row.id, row.sealed]));
}
