import type { Changes, Db } from '../../../../kernel/index.ts';
import type { OAuthClient } from './client.ts';
import { findClient } from './client-store.ts';

const maxCached = 10_000;
/** What a client id can be made of, `<organization>.<service>`: nothing else is asked of the database. */
const clientIdForm = /^[a-z0-9._-]{1,128}$/;

/**
 * Clients as this node last read them. A change of a service, its secrets or its organization reaches every node within
 * a second (topic `services`). Client ids that are not known are not remembered: they would fill the cache at will.
 */
export function createClientCache({ db, changes }: { db: Db; changes: Pick<Changes, 'watch'> }) {
  const cache = new Map<string, OAuthClient>();
  let generation = 0;
  let unwatch: (() => void) | undefined;
  return {
    /** `fresh` reads again: what another node has just written counts at once where it matters. */
    async find(clientId: string, options: { fresh?: boolean } = {}): Promise<OAuthClient | undefined> {
      const known = options.fresh ? undefined : cache.get(clientId);
      if (known) return known;
      if (!clientIdForm.test(clientId)) return undefined;
      const before = generation;
      const client = await db.read((tx) => findClient(tx, clientId));
      // What was read before a change may be old: not kept.
      if (client && before === generation) {
        if (cache.size >= maxCached) cache.clear();
        cache.set(clientId, client);
      }
      return client;
    },
    start(): void {
      unwatch ??= changes.watch('services', () => {
        generation += 1;
        cache.clear();
      });
    },
    stop(): void {
      unwatch?.();
      unwatch = undefined;
    },
  };
}

export type ClientCache = ReturnType<typeof createClientCache>;
