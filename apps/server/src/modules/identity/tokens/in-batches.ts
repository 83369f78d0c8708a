import type { Db, Tx } from '../../../kernel/index.ts';

/** Most rows one transaction deletes, so that none holds locks for long. */
export const batchRows = 5000;
/** Most transactions of one run: five million rows, and an end even beside writers who never pause. */
const maxBatches = 1000;

/** Deletes batch by batch until there is nothing more: a fixed amount in a run would lose against a busy time. */
export async function deleteInBatches(
  db: Pick<Db, 'transaction'>,
  deleteBatch: (tx: Tx) => Promise<number>,
): Promise<void> {
  for (let batch = 0; batch < maxBatches; batch += 1) {
    if ((await db.transaction(deleteBatch)) < batchRows) return;
  }
}
