/**
 * A cache with two bounds: each entry has an end, and the number of entries has a maximum (the least recently used one
 * goes first). It holds no timers, so it keeps no process alive.
 */
export interface BoundedCache<V> {
  get(key: string): V | undefined;
  set(key: string, value: V, expiresAt: Date): void;
  delete(key: string): void;
  clear(): void;
  readonly size: number;
}

/** Makes a bounded cache. `onDrop` is told each value that leaves, so that key material can be wiped. */
export function createBoundedCache<V>(options: {
  maxEntries: number;
  now: () => Date;
  onDrop?: (value: V) => void;
}): BoundedCache<V> {
  const { maxEntries, now, onDrop } = options;
  const entries = new Map<string, { value: V; expiresAtMs: number }>();

  function drop(key: string): void {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entries.delete(key);
    onDrop?.(entry.value);
  }

  return {
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      if (entry.expiresAtMs <= now().getTime()) {
        drop(key);
        return undefined;
      }
      // A Map keeps insertion order: putting the entry back makes it the most recently used.
      entries.delete(key);
      entries.set(key, entry);
      return entry.value;
    },
    set(key, value, expiresAt) {
      drop(key);
      if (maxEntries <= 0 || expiresAt.getTime() <= now().getTime()) return;
      entries.set(key, { value, expiresAtMs: expiresAt.getTime() });
      if (entries.size > maxEntries) {
        const oldest = entries.keys().next().value;
        if (oldest !== undefined) drop(oldest);
      }
    },
    delete: drop,
    clear() {
      for (const key of entries.keys()) drop(key);
    },
    get size() {
      return entries.size;
    },
  };
}
