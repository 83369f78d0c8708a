/**
 * The audit trail: one entry for every change, sign-in attempt and secret release, written in the transaction of what
 * it records, then sealed into one hash chain with signed checkpoints.
 *
 * Tables: `audit.entries` (only ever added to), `audit.unsealed` (the sealer's queue), `audit.seals` (the chain),
 * `audit.chain_head`, `audit.checkpoints`. The published format is docs/guides/audit-format.md.
 *
 * Invariants kept here: an entry exists if and only if its transaction committed; a writer never waits for another
 * writer or for the sealer; sequences are 1, 2, 3 … without gap or repeat and do not rest on clocks; what caused
 * something has a lower sequence than what followed from its commit; no secret and no control character is kept.
 *
 * In `webhooks/`: who is told of entries; its front door says more.
 * Elsewhere: the signing keys (`keys`, handed in as functions), who may read what (`identity`), and the verifier,
 * which is the command line program's own code (`apps/cli/src/audit`) and shares nothing with this module.
 */
import type { Clock, Db, Logger, Random, Tx } from '../../kernel/index.ts';
import { type AuditKeys, createAuditRoutes } from './audit-routes.ts';
import type { NewEntry } from './entry.ts';
import { prepareEntry } from './entry-rules.ts';
import { insertEntries, insertEntry } from './entry-store.ts';
import { createSealer, type SignCheckpoint } from './sealer.ts';

export type { AuditKeys } from './audit-routes.ts';
export type { NewEntry, Outcome } from './entry.ts';
export { checkpointPolicy } from './entry-rules.ts';
export type { SignCheckpoint } from './sealer.ts';
export { createWebhooks, type Webhook, type Webhooks } from './webhooks/index.ts';

/** What the audit trail needs. `signCheckpoint` and `auditKeys` come from the keys module, which is above this one. */
export interface AuditDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signCheckpoint: SignCheckpoint;
  readonly auditKeys: AuditKeys;
}

/** The audit trail of this node. */
export type Audit = ReturnType<typeof createAudit>;

/** Creates the audit trail of this node; `start` begins sealing. */
export function createAudit({ db, clock, random, log, signCheckpoint, auditKeys }: AuditDeps) {
  const sealedListeners = new Set<() => void>();
  const onSealed = () => {
    for (const listener of sealedListeners) listener();
  };
  const sealer = createSealer({ db, clock, log, signCheckpoint, onSealed });
  return {
    routes: createAuditRoutes({ db, auditKeys }),
    /** Records what the caller's transaction does. When it throws, the transaction must not commit. */
    async append(tx: Tx, entry: NewEntry): Promise<void> {
      await insertEntry(tx, prepareEntry(entry, random.id('audit'), clock.now()));
    },
    /** As `append`, for entries of one moment: they keep their order and share one statement. */
    async appendAll(tx: Tx, entries: readonly NewEntry[]): Promise<void> {
      const now = clock.now();
      if (entries.length === 0) return;
      await insertEntries(
        tx,
        entries.map((entry) => prepareEntry(entry, random.id('audit'), now)),
      );
    },
    /** Runs `listener` after this node has sealed entries. */
    onSealed(listener: () => void): void {
      sealedListeners.add(listener);
    },
    /** Seals all committed entries now, unless another node is at it; returns how many this call sealed. */
    sealPending: sealer.sealPending,
    /** Signs the head of the chain when a checkpoint is due, or now with `force`; false when nothing was written. */
    writeCheckpoint: sealer.writeCheckpoint,
    async start(): Promise<void> {
      sealer.start();
    },
    stop: sealer.stop,
  };
}
