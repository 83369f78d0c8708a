import type { JsonObject } from '@gatehouse/contracts';
import type { Jobs, Tx } from '../../../kernel/index.ts';

/** Publishes a namespace anew when something it is made of has changed. */
export const refreshTask = 'configuration-refresh';
/** Queues {@link refreshTask} for each namespace that extends one, some hundred at a time. */
export const fanOutTask = 'configuration-refresh-dependents';
/** Queues {@link refreshTask} for each namespace that refers to a key. */
export const keysChangedTask = 'configuration-keys-changed';

/** Why a namespace is published anew. */
export type RefreshCause = JsonObject;

/**
 * Queues the work that follows from a change, in its transaction. Jobs of one namespace are coalesced by their key; a job
 * that is running when another comes is followed by it. Each looks at what is true then, so it may run twice.
 */
export function createRefreshQueue({ jobs }: { jobs: Pick<Jobs, 'add'> }) {
  return {
    refresh: (tx: Tx, namespaceId: string, cause: RefreshCause): Promise<void> =>
      jobs.add(tx, refreshTask, { namespace: namespaceId, cause }, { key: `${refreshTask} ${namespaceId}` }),
    fanOut: (tx: Tx, baseId: string, cause: RefreshCause, afterId?: string): Promise<void> =>
      jobs.add(
        tx,
        fanOutTask,
        { base: baseId, cause, ...(afterId === undefined ? {} : { after: afterId }) },
        // A page further on is another job: it must not be replaced by the first page of the next publication.
        { key: `${fanOutTask} ${baseId} ${afterId ?? ''}` },
      ),
    keysChanged: (tx: Tx): Promise<void> => jobs.add(tx, keysChangedTask, {}, { key: keysChangedTask }),
  };
}

/** What {@link createRefreshQueue} gives. */
export type RefreshQueue = ReturnType<typeof createRefreshQueue>;
