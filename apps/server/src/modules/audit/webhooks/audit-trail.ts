import type { Tx } from '../../../kernel/index.ts';
import type { NewEntry } from '../entry.ts';

/** Writes an audit entry in the caller's transaction. */
export type AppendEntry = (tx: Tx, entry: NewEntry) => Promise<void>;
