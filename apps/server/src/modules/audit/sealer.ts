import type { JsonObject } from '@gatehouse/contracts';
import type { Clock, Db, Logger } from '../../kernel/index.ts';
import { insertCheckpoint, insertSeals, readChain, tryLockHead } from './chain-store.ts';
import { checkpointPayload, isCheckpointDue, sealEntry, sha256 } from './entry-rules.ts';
import { listUnsealed } from './entry-store.ts';

/** Signs a checkpoint's payload with the audit keyring: a compact JWS whose header has `alg` and `kid`. */
export type SignCheckpoint = (payload: JsonObject) => Promise<string>;

/** Puts committed entries into the chain. One runs on each node; one of them seals at a time. */
export interface Sealer {
  /** Seals all that waits, unless another node is at it; returns how many this call sealed. */
  readonly sealPending: () => Promise<number>;
  /** Writes a checkpoint when one is due, or, with `force`, when it would cover anything new. */
  readonly writeCheckpoint: (options?: { force?: boolean }) => Promise<boolean>;
  readonly start: () => void;
  /** Ends the loop, seals what waits and signs it. */
  readonly stop: () => Promise<void>;
}

/** How often a node looks for entries to seal. With it an entry is sealed well within two seconds of its commit. */
const intervalMs = 500;
/** Entries a transaction seals at most: bounds its memory (8 KiB of details each) and how long the lock is held. */
const batchSize = 500;

/** Creates the sealer of one node. */
export function createSealer({
  db,
  clock,
  log,
  signCheckpoint,
  onSealed,
}: {
  db: Db;
  clock: Clock;
  log: Logger;
  signCheckpoint: SignCheckpoint;
  /** Runs after entries were sealed by this node. */
  onSealed: () => void;
}): Sealer {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let lastFailure: string | undefined;

  const sealBatch = () =>
    db.transaction(async (tx) => {
      if (!(await tryLockHead(tx))) return { sealed: 0, more: false };
      // Read after the lock was taken: this statement sees what the sealer before us committed.
      const chain = await readChain(tx);
      assertIntact(chain);
      const waiting = await listUnsealed(tx, batchSize);
      let head = { sequence: chain.sequence, hash: chain.hash };
      const seals = waiting.map(({ position, entry }) => {
        const { sequence, previous_hash, hash } = sealEntry(entry, head);
        head = { sequence, hash };
        return { position, sequence, previous_hash, hash };
      });
      await insertSeals(tx, seals);
      return { sealed: seals.length, more: seals.length === batchSize };
    });

  const sealPending = async () => {
    let total = 0;
    for (let more = true; more; ) {
      const batch = await sealBatch();
      total += batch.sealed;
      more = batch.more;
    }
    if (total > 0) onSealed();
    return total;
  };

  /** Signed outside any transaction; whoever stores the number first wins, and the other's signature is dropped. */
  const writeCheckpoint = async ({ force = false } = {}) => {
    const chain = await db.read(readChain);
    assertIntact(chain);
    const at = clock.now();
    const nothingNew = chain.sequence === (chain.checkpoint?.sequence ?? 0);
    if (force ? nothingNew : !isCheckpointDue(chain, at)) return false;
    const payload = checkpointPayload(chain, at);
    const jws = await signCheckpoint(payload);
    const { number } = payload;
    const { sequence, hash } = chain;
    return db.transaction((tx) =>
      insertCheckpoint(tx, { number, sequence, hash, at: at.toISOString(), jws, jwsHash: sha256(jws) }),
    );
  };

  const round = async (force: boolean) => {
    try {
      const { waiting } = await db.read(readChain);
      if (waiting) await sealPending();
      await writeCheckpoint({ force });
      if (lastFailure !== undefined) log.info({ component: 'audit' }, 'sealing the audit trail works again');
      lastFailure = undefined;
    } catch (error) {
      // Entries are safe in their queue; said once, not twice a second.
      const message = error instanceof Error ? error.message : String(error);
      if (message !== lastFailure)
        log.error({ err: error, component: 'audit' }, 'sealing the audit trail failed; trying again');
      lastFailure = message;
    }
  };

  const schedule = () => {
    timer = setTimeout(() => {
      running = round(false).finally(() => {
        if (timer) schedule();
      });
    }, intervalMs);
    timer.unref();
  };

  return {
    sealPending,
    writeCheckpoint,
    start: schedule,
    async stop() {
      clearTimeout(timer);
      timer = undefined;
      await running;
      await round(true);
    },
  };
}

/** A head that is not the last seal means that someone changed the chain: nothing may be built or signed on it. */
function assertIntact(chain: { intact: boolean; sequence: number }): void {
  if (chain.intact) return;
  throw new Error(
    `audit: the head of the chain (sequence ${chain.sequence}) is not the last seal; the chain was changed from outside. ` +
      'Nothing is sealed until it is restored; run "gatehouse audit verify".',
  );
}
