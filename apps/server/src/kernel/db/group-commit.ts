import type { Db, Tx } from './db.ts';

/** What became of one item of a crowd: a value, or an error that concerns only it. */
export type Outcome<O> = { readonly value: O } | { readonly error: unknown };

/** Most items that share one commit. */
const maxCrowd = 64;
/** Commits under way at once on this node: while they run, the next crowd gathers. */
const maxRunning = 2;

interface Waiting<I, O> {
  readonly item: I;
  readonly resolve: (value: O) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Lets items that come in a crowd share one transaction, as a database's own group commit does: a commit is the dearest
 * part of a small write. Each caller waits for the commit that holds its item; a lone caller waits for nobody.
 * `work` answers an outcome for each item, in order. When a crowd's transaction fails, each of its items is tried alone,
 * so that one cannot spoil it for the others.
 */
export function createGroupCommit<I, O>(
  db: Pick<Db, 'transaction'>,
  work: (tx: Tx, items: readonly I[]) => Promise<readonly Outcome<O>[]>,
): (item: I) => Promise<O> {
  const waiting: Waiting<I, O>[] = [];
  let running = 0;
  let scheduled = false;

  const commit = async (crowd: readonly Waiting<I, O>[]): Promise<void> => {
    let outcomes: readonly Outcome<O>[];
    try {
      outcomes = await db.transaction((tx) =>
        work(
          tx,
          crowd.map(({ item }) => item),
        ),
      );
    } catch (error) {
      if (crowd.length > 1) for (const one of crowd) await commit([one]);
      else crowd[0]?.reject(error);
      return;
    }
    for (const [index, { resolve, reject }] of crowd.entries()) {
      const outcome = outcomes[index];
      if (outcome && 'value' in outcome) resolve(outcome.value);
      else reject(outcome?.error ?? new Error('group commit: an item without an outcome'));
    }
  };

  const pump = () => {
    scheduled = false;
    while (running < maxRunning && waiting.length > 0) {
      running += 1;
      void commit(waiting.splice(0, maxCrowd)).finally(() => {
        running -= 1;
        pump();
      });
    }
  };

  return (item) =>
    new Promise<O>((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (scheduled || running >= maxRunning) return;
      // After the requests that this turn of the event loop has read, so that a crowd is seen as one.
      scheduled = true;
      setImmediate(pump);
    });
}
