import type { Clock, Db, Random } from '../../../kernel/index.ts';
import { eventNames, eventOf, everybodysEvents, hears } from './event-rules.ts';
import {
  insertDeliveries,
  insertEvents,
  listEventEntries,
  listListeners,
  moveCursor,
  type NewDelivery,
  readHeadSequence,
  tryLockCursor,
} from './relay-store.ts';
import { platformOrganization } from './webhook.ts';

/** Entries one transaction looks at: bounds its memory (8 KiB of details each) and how long it holds the cursor. */
const batchSize = 1000;

/**
 * Turns sealed audit entries into deliveries, each entry once: the cursor moves in the transaction that records them.
 *
 * The head is read before the webhooks are. So every entry up to it was sealed, and written, before the webhooks are
 * looked at, and a webhook whose making was answered before an entry was written is seen: none is missed, on whichever
 * node the webhook was made, the entry written and the relay run.
 */
export function createRelay({ db, clock, random }: { db: Db; clock: Clock; random: Pick<Random, 'id'> }) {
  const relayBatch = () =>
    db.transaction(async (tx) => {
      const after = await tryLockCursor(tx);
      if (after === undefined) return { recorded: 0, more: false };
      const head = await readHeadSequence(tx);
      const to = Math.min(head, after + batchSize);
      if (to <= after) return { recorded: 0, more: false };
      const names = { all: eventNames, everybodys: everybodysEvents };
      const entries = await listEventEntries(tx, { after, to }, names);
      const deliveries: NewDelivery[] = [];
      if (entries.length > 0) {
        const now = clock.now();
        const organizations = new Set([platformOrganization, ...entries.map(({ entry }) => entry.organization)]);
        const all = entries.some(({ entry }) => (everybodysEvents as readonly string[]).includes(entry.action));
        const listeners = await listListeners(tx, [...organizations], all);
        const events = entries.flatMap((relayed) => {
          const hearing = listeners.filter((listener) => hears(listener, relayed));
          if (hearing.length === 0) return [];
          const event = eventOf(relayed.entry);
          for (const { id: webhookId, enabled: due } of hearing) {
            deliveries.push({ id: random.id('del'), webhookId, eventId: event.id, due });
          }
          return [event];
        });
        await insertEvents(tx, events, now);
        await insertDeliveries(tx, deliveries, now);
      }
      await moveCursor(tx, to);
      return { recorded: deliveries.length, more: to < head };
    });

  /** Records deliveries for all that is sealed, unless another node is at it; returns how many this call recorded. */
  return async function relayPending(): Promise<number> {
    let total = 0;
    for (let more = true; more; ) {
      const batch = await relayBatch();
      total += batch.recorded;
      more = batch.more;
    }
    return total;
  };
}
