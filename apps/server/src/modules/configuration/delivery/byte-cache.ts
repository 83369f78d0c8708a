/** Keeps what is used, up to a number of bytes. For what never changes under its key. */
export interface ByteCache<V> {
  get(key: string): V | undefined;
  set(key: string, value: V, bytes: number): void;
}

interface Entry<V> {
  readonly value: V;
  readonly bytes: number;
  /** Asked for since it was last looked at for removal: it gets a second chance. */
  used: boolean;
}

/**
 * Creates an empty cache. What came first goes first, unless it was used since: asking costs a look and a mark, where
 * keeping the exact order of use would cost two changes of the map. A value larger than the whole cache is not kept.
 */
export function createByteCache<V>(maxBytes: number): ByteCache<V> {
  const entries = new Map<string, Entry<V>>(); // in the order of insertion
  let total = 0;
  const remove = (key: string) => {
    total -= entries.get(key)?.bytes ?? 0;
    entries.delete(key);
  };
  return {
    get(key) {
      const entry = entries.get(key);
      if (entry) entry.used = true;
      return entry?.value;
    },
    set(key, value, bytes) {
      remove(key);
      if (bytes > maxBytes) return;
      total += bytes;
      entries.set(key, { value, bytes, used: false });
      while (total > maxBytes) {
        const [oldest, entry] = entries.entries().next().value as [string, Entry<V>];
        remove(oldest);
        if (!entry.used) continue;
        entries.set(oldest, { ...entry, used: false });
        total += entry.bytes;
      }
    },
  };
}
