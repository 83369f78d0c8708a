import type { JsonObject } from '@gatehouse/contracts';
import type { Clock } from '../../../../kernel/index.ts';

/** Entries a minute about refusals of one client, on each node. Client ids are no secret, and anybody can be refused. */
export const maxRefusalEntries = 20;
const windowSeconds = 60;
const maxClients = 10_000;

/**
 * Bounds what strangers can make the audit grow by: beyond {@link maxRefusalEntries} a minute refusals of a client are
 * counted, and the next entry about it says how many. Undefined: this one is counted only.
 */
export function createRefusalBound({ clock }: { clock: Clock }): (clientId: string) => JsonObject | undefined {
  const windows = new Map<string, { since: number; count: number }>();
  return (clientId) => {
    const now = clock.now().getTime() / 1000;
    const known = windows.get(clientId);
    if (known && now - known.since < windowSeconds) {
      known.count += 1;
      return known.count > maxRefusalEntries ? undefined : {};
    }
    if (windows.size >= maxClients) windows.clear();
    windows.set(clientId, { since: now, count: 1 });
    const unrecorded = (known?.count ?? 0) - maxRefusalEntries;
    return unrecorded > 0 ? { refusals_not_recorded: unrecorded } : {};
  };
}
