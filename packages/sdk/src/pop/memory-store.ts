/** Keys that live as long as the process: for tests and for a single instance that seals nothing for later. */
import type { PopDocument, PopStore } from './pop-key.ts';

/** Makes a store in memory. Instances of one process may share it. */
export function memoryStore(): PopStore {
  let stored: PopDocument | undefined;
  return {
    load: async () => structuredClone(stored),
    save: async (next) => {
      if ((stored?.revision ?? 0) !== next.revision - 1) return false;
      stored = structuredClone(next);
      return true;
    },
  };
}
