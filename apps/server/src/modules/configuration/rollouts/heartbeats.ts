import { addSeconds, type Clock, type Db, type Logger } from '../../../kernel/index.ts';
import { deleteForgotten, noteWatching, updateSeen } from './instance-store.ts';

/** How often a node writes down who it has seen. */
const flushIntervalMs = 10_000;
/** Most sightings in one statement. */
const maxBatch = 5000;
/** An instance that nobody has seen for this long is forgotten. */
export const forgottenAfterSeconds = 7 * 86_400;

/**
 * Remembers who was seen, and writes it down now and then: ten thousand waiting agents cost a statement every ten
 * seconds, not one each. What a killed node had not written is seen again within the minute.
 */
export function createHeartbeats({ db, clock, log }: { db: Db; clock: Clock; log: Pick<Logger, 'warn'> }) {
  let sightings = new Map<string, { namespaceId: string; agentId: string; at: Date }>();
  let timer: NodeJS.Timeout | undefined;

  const flush = async (): Promise<void> => {
    const all = [...sightings.values()];
    sightings = new Map();
    for (let first = 0; first < all.length; first += maxBatch) {
      await db.transaction((tx) => updateSeen(tx, all.slice(first, first + maxBatch)));
    }
  };
  const flushQuietly = () =>
    flush().catch((error: unknown) => log.warn({ err: error }, 'writing down who was seen failed'));

  return {
    /** An agent has asked for a namespace. */
    seen(agentId: string, namespaceId: string): void {
      sightings.set(`${namespaceId} ${agentId}`, { namespaceId, agentId, at: clock.now() });
    },
    flush,
    /** Once a minute in the cluster: somebody watches, and who was never seen again is forgotten. */
    async watch(): Promise<void> {
      const now = clock.now();
      await db.transaction(async (tx) => {
        await noteWatching(tx, now);
        await deleteForgotten(tx, addSeconds(now, -forgottenAfterSeconds));
      });
    },
    start() {
      timer = setInterval(() => void flushQuietly(), flushIntervalMs);
      timer.unref();
    },
    async stop(): Promise<void> {
      clearInterval(timer);
      await flushQuietly();
    },
  };
}
