import { named, type Reader, type Tx } from '../../kernel/index.ts';

const find = { name: 'declaration_find_applied', text: 'select content_hash from declaration.applied' };
/** The mark of the content that a start applied last. */
export async function findAppliedHash(tx: Reader): Promise<string | undefined> {
  return (await named<{ content_hash: string }>(tx, find, []))[0]?.content_hash;
}

const set = {
  name: 'declaration_set_applied',
  text: `insert into declaration.applied (content_hash, applied_at) values ($1, $2)
    on conflict (only_row) do update set content_hash = excluded.content_hash, applied_at = excluded.applied_at`,
};
/** Remembers what a start has applied. */
export async function setAppliedHash(tx: Tx, contentHash: string, now: Date): Promise<void> {
  await named(tx, set, [contentHash, now]);
}
