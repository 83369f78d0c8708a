/** What runs with several namespaces starts when the first version of each is there. */
import type { ConfigurationVersion } from '@gatehouse/sdk';

/** Waiting for the first start, and knowing of it. */
export interface FirstStart {
  isStarted(): boolean;
  /**
   * A version came before the start and is in `versions`. The one that completes them starts; every other waits for that,
   * or until it is given up by `signal`, and then it is taken out again. Rejects when the start fails.
   */
  arrive(namespace: string, signal: AbortSignal): Promise<void>;
}

/** Makes one for these namespaces; `start` is called once. */
export function createFirstStart({
  namespaces,
  versions,
  start,
}: {
  namespaces: readonly string[];
  versions: Map<string, ConfigurationVersion>;
  start: () => Promise<unknown>;
}): FirstStart {
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => undefined);
  let isStarted = false;
  return {
    isStarted: () => isStarted,
    async arrive(namespace, signal) {
      if (namespaces.every((each) => versions.has(each))) {
        isStarted = true;
        try {
          await start();
          first.resolve();
        } catch (error) {
          first.reject(error);
          throw error;
        }
        return;
      }
      const stopped = Promise.withResolvers<never>();
      const stop = () => {
        if (!isStarted) versions.delete(namespace);
        stopped.reject(signal.reason);
      };
      signal.addEventListener('abort', stop, { once: true });
      await Promise.race([first.promise, stopped.promise]).finally(() => signal.removeEventListener('abort', stop));
    },
  };
}
