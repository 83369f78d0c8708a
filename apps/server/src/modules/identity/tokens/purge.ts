import { addSeconds, type Clock, type Db } from '../../../kernel/index.ts';
import { purgeArtifacts } from '../oauth/adapter/artifact-store.ts';
import { purgeSessions } from '../sessions/session-store.ts';
import { deleteInBatches } from './in-batches.ts';
import { purgeRefreshTokens } from './refresh-store.ts';
import { purgeRevokedTokens, purgeUsedIds } from './token-store.ts';

/** Ended sessions are kept a while, so that a late replay is still told from an unknown token. */
const keepSeconds = 24 * 3600;

/** Forgets what has expired, all of it: what an attacker or a busy hour leaves must not outgrow the runs. */
export function createPurge({ db, clock }: { db: Db; clock: Clock }) {
  return async function purge(): Promise<void> {
    const now = clock.now();
    await deleteInBatches(db, (tx) => purgeArtifacts(tx, addSeconds(now, -3600)));
    await deleteInBatches(db, (tx) => purgeRevokedTokens(tx, now));
    await deleteInBatches(db, (tx) => purgeUsedIds(tx, now));
    await deleteInBatches(db, (tx) => purgeRefreshTokens(tx, addSeconds(now, -keepSeconds)));
    await deleteInBatches(db, (tx) => purgeSessions(tx, addSeconds(now, -keepSeconds)));
  };
}
