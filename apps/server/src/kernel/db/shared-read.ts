import { AsyncLocalStorage } from 'node:async_hooks';
import type { Db, Reader } from './db.ts';

/** Most keys of one statement. */
const maxKeys = 1000;

interface Gathering<K, V> {
  readonly keys: Map<string, K>;
  readonly result: Promise<ReadonlyMap<string, V>>;
  readonly run: () => void;
}

/**
 * Lets reads that come at the same time share one statement. A read starts after everybody who shares it has asked, so
 * each sees what was committed before it asked: on a busy node it costs as little as a cache, and is never stale. While
 * one runs, the next gathers; a lone caller waits for nobody.
 *
 * `work` answers the keys it found; `nameOf` gives equal keys equal names, `undefined` is answered for what is not there.
 * When it fails, everybody who shared it hears so.
 */
export function createSharedRead<K, V>(
  db: Pick<Db, 'read'>,
  nameOf: (key: K) => string,
  work: (tx: Reader, keys: readonly K[]) => Promise<ReadonlyMap<string, V>>,
): (key: K) => Promise<V | undefined> {
  // A shared read belongs to none of its callers, so it runs in the asynchronous context of this line.
  const inOwnContext = AsyncLocalStorage.snapshot();
  let gathering: Gathering<K, V> | undefined;
  const waiting: Gathering<K, V>[] = [];
  let running = false;
  let scheduled = false;

  const pump = () => {
    scheduled = false;
    const next = running ? undefined : waiting.shift();
    if (!next) return;
    if (gathering === next) gathering = undefined; // whoever asks from now on is in a later read
    running = true;
    next.run();
  };

  const gather = (): Gathering<K, V> => {
    const keys = new Map<string, K>();
    let run = () => {};
    const result = new Promise<ReadonlyMap<string, V>>((resolve, reject) => {
      run = () => {
        inOwnContext(() => db.read((tx) => work(tx, [...keys.values()])))
          .then(resolve, reject)
          .finally(() => {
            running = false;
            pump();
          });
      };
    });
    return { keys, result, run };
  };

  return async (key) => {
    if (!gathering || gathering.keys.size >= maxKeys) {
      gathering = gather();
      waiting.push(gathering);
    }
    const mine = gathering;
    const name = nameOf(key);
    if (!mine.keys.has(name)) mine.keys.set(name, key);
    if (!scheduled && !running) {
      // After the requests that this turn of the event loop has read, so that a crowd is seen as one.
      scheduled = true;
      setImmediate(pump);
    }
    return (await mine.result).get(name);
  };
}
