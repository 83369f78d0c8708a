import { type NamedStatement, named, type Reader, type Tx } from '../../../kernel/index.ts';

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

/** How many bytes these sealed values of the namespace have together, each rounded up to 1 KiB: lengths are nobody's. */
export async function sumSealedBytes(tx: Reader, namespaceId: string, ids: readonly string[]): Promise<number> {
  const [row] = await named<{ bytes: number }>(tx, sum, [namespaceId, [...ids]]);
  return row?.bytes ?? 0;
}

/** Removes values that no version has. */
export async function deleteSecretValues(tx: Tx, namespaceId: string, ids: readonly string[]): Promise<void> {
  await named(tx, remove, [namespaceId, [...ids]]);
}

const sum: NamedStatement = {
  name: 'configuration_sum_secret_values',
  text: `select coalesce(sum(ceil(octet_length(sealed) / 1024.0) * 1024), 0)::int as bytes from configuration.secret_values
    where namespace_id = $1 and id = any($2)`,
};
const remove: NamedStatement = {
  name: 'configuration_delete_secret_values',
  text: 'delete from configuration.secret_values where namespace_id = $1 and id = any($2)',
};
