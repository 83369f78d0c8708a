/** What this instance tells the server of itself, and the leave it asks for before it interrupts its program. */
import type { InstanceState, RolloutClient } from '@gatehouse/sdk';
import { pause } from './health.ts';

/** Reports and slots of all namespaces of one agent. */
export interface Reports {
  /** Resolves when it was delivered; the same twice in a row is told once. */
  report(namespace: string, version: number, state: InstanceState, reason?: string): Promise<void>;
  /**
   * Waits for leave to restart. While the server is away there is none: it may have given it to another instance.
   * Rejects with the reason of `signal`.
   */
  awaitSlot(namespace: string, version: number, signal: AbortSignal): Promise<void>;
  /** Waits until everything was delivered, at most so long. */
  flush(milliseconds: number): Promise<void>;
  /** Delivers what waits for at most so long, then drops it. */
  close(milliseconds: number): Promise<void>;
}

/** Makes them over one client for each namespace. Nobody waits for a server that `isAway`. */
export function createReports(clientOf: (namespace: string) => RolloutClient, isAway: () => boolean): Reports {
  const clients = new Map<string, RolloutClient>();
  const last = new Map<string, string>();
  const underWay = new Set<Promise<void>>();
  const client = (namespace: string) => {
    const known = clients.get(namespace) ?? clientOf(namespace);
    clients.set(namespace, known);
    return known;
  };

  return {
    report(namespace, version, state, reason) {
      const what = `${version} ${state} ${reason ?? ''}`;
      if (last.get(namespace) === what) return Promise.resolve();
      last.set(namespace, what);
      const told = client(namespace).report(version, state, reason);
      underWay.add(told);
      void told.finally(() => underWay.delete(told));
      return told;
    },
    async awaitSlot(namespace, version, signal) {
      await client(namespace).waitForSlot(version, { signal });
    },
    async flush(milliseconds) {
      if (isAway()) return;
      const late = new AbortController();
      await Promise.race([Promise.all(underWay), pause(milliseconds, late.signal)]);
      late.abort();
    },
    async close(milliseconds) {
      const seconds = isAway() ? 0 : milliseconds / 1000;
      await Promise.all([...clients.values()].map((each) => each.close({ seconds })));
    },
  };
}
