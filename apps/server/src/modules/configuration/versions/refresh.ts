import type { JsonObject } from '@gatehouse/contracts';
import { Counter } from 'prom-client';
import {
  type AppError,
  type Db,
  type FieldError,
  isAppError,
  type Jobs,
  type Logger,
  type Metrics,
  type Origin,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Keys } from '../../keys/index.ts';
import { listDependents } from '../namespaces/inheritance-store.ts';
import { type Namespace, namespaceEntry } from '../namespaces/namespace.ts';
import { findNamespaceById, updateRefreshProblem } from '../namespaces/namespace-store.ts';
import { listReferring } from '../references/reference-store.ts';
import { fanOutTask, keysChangedTask, type RefreshQueue, refreshTask } from './refresh-queue.ts';
import type { Versions } from './version-service.ts';

/** Namespaces queued by one job. */
const batch = 100;
const origin: Origin = { actor: { type: 'system', id: 'configuration' } };

/**
 * Publishes namespaces anew when a base, a key or a client secret has changed. What cannot be published (the schema, the
 * limits) stays as it is: an audit entry, a metric and the namespace itself say so, until the next version.
 */
export function createRefresh(deps: {
  db: Db;
  jobs: Pick<Jobs, 'register'>;
  queue: RefreshQueue;
  versions: Pick<Versions, 'refresh'>;
  keys: Pick<Keys, 'onChange'>;
  audit: Pick<Audit, 'append'>;
  metrics: Pick<Metrics, 'registry'>;
  log: Logger;
}) {
  const { db, jobs, queue, versions, keys, audit, metrics, log } = deps;
  const refused = new Counter({
    name: 'gatehouse_configuration_refresh_refused_total',
    help: 'Namespaces that could not be published anew after a change of what they inherit or refer to',
    registers: [metrics.registry],
  });

  const note = async (tx: Tx, namespace: Namespace, problem: JsonObject): Promise<void> => {
    const before = namespace.refreshProblem;
    await updateRefreshProblem(tx, namespace.id, problem);
    if (JSON.stringify(before) === JSON.stringify(problem)) return;
    refused.inc();
    const action = 'configuration.refresh_refused';
    await audit.append(tx, namespaceEntry(namespace, { action, origin, details: problem }));
  };

  const refresh = async ({ namespace: id, cause }: { namespace: string; cause: JsonObject }): Promise<void> => {
    try {
      await db.transaction(async (tx) => {
        const done = await versions.refresh(tx, { namespaceId: id, cause, origin });
        if (!done) return;
        const { namespace, errors } = done;
        if (errors) await note(tx, namespace, problemOf('configuration.schema_violated', errors, cause));
        else if (!done.version && namespace.refreshProblem) await updateRefreshProblem(tx, id, undefined);
      });
    } catch (error) {
      // What the rules refuse, they refuse again: trying later helps only against what is not a rule.
      if (!isAppError(error) || error.status >= 500) throw error;
      await db.transaction(async (tx) => {
        const namespace = await findNamespaceById(tx, id);
        if (namespace) await note(tx, namespace, problemOf(error.code, fieldsOf(error), cause));
      });
    }
  };

  jobs.register(refreshTask, refresh);

  jobs.register<{ base: string; cause: JsonObject; after?: string }>(fanOutTask, async ({ base, cause, after }) => {
    await db.transaction(async (tx) => {
      const dependents = await listDependents(tx, base, { afterId: after, limit: batch });
      for (const { id } of dependents) await queue.refresh(tx, id, cause);
      if (dependents.length === batch) await queue.fanOut(tx, base, cause, dependents.at(-1)?.id);
    });
  });

  jobs.register<{ after?: string }>(keysChangedTask, async ({ after }) => {
    let afterId = after;
    for (;;) {
      const referring = await db.transaction(async (tx) => {
        const found = await listReferring(tx, { kind: 'key' }, { afterId, limit: batch });
        for (const { id } of found) await queue.refresh(tx, id, { keys: 'changed' });
        return found;
      });
      if (referring.length < batch) return;
      afterId = referring.at(-1)?.id;
    }
  });

  let unsubscribe: (() => void) | undefined;
  let queued: Promise<void> = Promise.resolve();
  return {
    start(): void {
      // Every node hears of it; the key of the job makes it one.
      unsubscribe = keys.onChange(() => {
        queued = queued
          .then(() => db.transaction((tx) => queue.keysChanged(tx)))
          .catch((error: unknown) => log.error({ err: error }, 'a change of keys could not be passed on'));
      });
    },
    async stop(): Promise<void> {
      unsubscribe?.();
      await queued;
    },
  };
}

function fieldsOf(error: AppError): FieldError[] {
  return [...(error.errors ?? [{ field: '', rule: error.detail ?? error.message }])];
}

function problemOf(code: string, errors: readonly FieldError[], cause: JsonObject): JsonObject {
  return { code, errors: errors.slice(0, 10).map(({ field, rule }) => ({ field, rule })), cause };
}
