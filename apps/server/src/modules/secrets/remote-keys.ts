import { type JudgedKey, judgeJwks } from '@gatehouse/crypto';
import { type Clock, FetchRefused, type GuardedFetch } from '../../kernel/index.ts';

/** Keys published at an address: fetched with the guarded client, judged, kept for as long as their owner says. */
export interface RemoteKeys {
  /** The usable keys at `address`. `fresh` asks again, at most once in {@link refetchSeconds}, for an unknown key id. */
  get(address: string, use: 'sig' | 'enc', options?: { fresh?: boolean }): Promise<readonly JudgedKey[]>;
}

/** Why no keys can be had, in words for the owner of the address. */
export class RemoteKeysError extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'RemoteKeysError';
  }
}

/** An unknown key id asks for the keys again, but not more often than this. */
export const refetchSeconds = 5;
const longestSeconds = 300;
const defaultSeconds = 60;
/** When the address does not answer, keys fetched this recently still serve. */
const staleSeconds = 300;
const maxAddresses = 1000;

interface Entry {
  keys: readonly JudgedKey[];
  fetchedAt: number;
  freshUntil: number;
}

/** Creates the cache. One request at a time goes to an address; failures are remembered for a second, never longer. */
export function createRemoteKeys({ fetch, clock }: { fetch: GuardedFetch; clock: Clock }): RemoteKeys {
  const entries = new Map<string, Entry>();
  const running = new Map<string, Promise<Entry>>();
  const failures = new Map<string, { at: number; error: RemoteKeysError }>();
  const now = () => clock.now().getTime() / 1000;

  const load = async (id: string, address: string, use: 'sig' | 'enc'): Promise<Entry> => {
    try {
      const document = await fetch(address, { headers: { accept: 'application/jwk-set+json, application/json' } });
      const { keys } = judgeJwks(document.body, { use });
      const seconds = Math.min(maxAge(document.headers['cache-control']) ?? defaultSeconds, longestSeconds);
      const entry = { keys, fetchedAt: now(), freshUntil: now() + seconds };
      entries.delete(id);
      entries.set(id, entry);
      if (entries.size > maxAddresses) entries.delete(entries.keys().next().value ?? '');
      failures.delete(id);
      return entry;
    } catch (error) {
      const why = error instanceof FetchRefused ? error.message : `what ${address} answers is not a usable key set`;
      const wrapped = new RemoteKeysError(why, error);
      failures.set(id, { at: now(), error: wrapped });
      if (failures.size > maxAddresses) failures.delete(failures.keys().next().value ?? '');
      throw wrapped;
    }
  };

  const loadOnce = (id: string, address: string, use: 'sig' | 'enc'): Promise<Entry> => {
    const failure = failures.get(id);
    if (failure && now() - failure.at < 1) return Promise.reject(failure.error);
    const promise = running.get(id) ?? load(id, address, use).finally(() => running.delete(id));
    running.set(id, promise);
    return promise;
  };

  return {
    async get(address, use, options = {}) {
      const id = `${use} ${address}`;
      const entry = entries.get(id);
      const recent = entry && now() - entry.fetchedAt < refetchSeconds;
      if (entry && now() < entry.freshUntil && (!options.fresh || recent)) return entry.keys;
      try {
        return (await loadOnce(id, address, use)).keys;
      } catch (error) {
        if (entry && now() - entry.fetchedAt < staleSeconds && !options.fresh) return entry.keys;
        throw error;
      }
    },
  };
}

function maxAge(header: string | string[] | undefined): number | undefined {
  const match = /(?:^|[\s,])max-age=(\d{1,9})/.exec(String(header ?? ''));
  return match ? Number(match[1]) : undefined;
}
