import { addSeconds, type Clock, type Db } from '../../../kernel/index.ts';
import { purgeArtifacts } from '../oauth/adapter/artifact-store.ts';
import { purgeSessions } from '../sessions/session-store.ts';
import { purgeRefreshTokens } from './refresh-store.ts';
import { purgeTokenIds } from './token-store.ts';

/** Ended sessions are kept a while, so that a late replay is still told from an unknown token. */
const keepSeconds = 24 * 3600;

/** Forgets what has expired: up to 5,000 rows of each kind a run, so that no run takes long. */
export function createPurge({ db, clock }: { db: Db; clock: Clock }) {
  return async function purge(): Promise<void> {
    const now = clock.now();
    await db.transaction((tx) => purgeArtifacts(tx, addSeconds(now, -3600)));
    await db.transaction((tx) => purgeTokenIds(tx, now));
    await db.transaction((tx) => purgeRefreshTokens(tx, addSeconds(now, -keepSeconds)));
    await db.transaction((tx) => purgeSessions(tx, addSeconds(now, -keepSeconds)));
  };
}
