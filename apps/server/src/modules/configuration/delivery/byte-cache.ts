/** Keeps what was used last, up to a number of bytes. For what never changes under its key. */
export interface ByteCache<V> {
  get(key: string): V | undefined;
  set(key: string, value: V, bytes: number): void;
}

/** Creates an empty cache. A value larger than the whole cache is not kept. */
export function createByteCache<V>(maxBytes: number): ByteCache<V> {
  // A Map keeps the order of insertion: what is used is put in anew, so the first is what was used longest ago.
  const entries = new Map<string, { value: V; bytes: number }>();
  let total = 0;
  return {
    get(key) {
      const entry = entries.get(key);
      if (!entry) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry.value;
    },
    set(key, value, bytes) {
      const present = entries.get(key);
      if (present) {
        total -= present.bytes;
        entries.delete(key);
      }
      if (bytes > maxBytes) return;
      entries.set(key, { value, bytes });
      total += bytes;
      for (const [oldest, entry] of entries) {
        if (total <= maxBytes) break;
        entries.delete(oldest);
        total -= entry.bytes;
      }
    },
  };
}
