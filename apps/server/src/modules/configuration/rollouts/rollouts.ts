/**
 * Rollouts: how a new version reaches the instances of a service without taking them all down, what each instance says
 * about it, and what happens when it does not work.
 *
 * Tables: configuration.rollout_policies, rollouts, instances, fleet_watch.
 *
 * Invariants kept here: a slot is given under the lock of the namespace, so across all nodes never more than
 * max_unavailable are out; an instance that serves is let go only while fewer than that are down for whatever reason; the
 * first failure ends a rollout and, in the same transaction, publishes the old content anew; an automatic rollback is
 * never rolled back; all state is in PostgreSQL, so any node goes on where a killed one was.
 *
 * Elsewhere: publishing (`versions`, which tells `begin`), who an agent is (`agents`), the agent itself (`apps/cli`).
 */
import type { App, Changes, Clock, Db, Jobs, Logger, Metrics } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Identity } from '../../identity/index.ts';
import type { Callers } from '../agents/callers.ts';
import type { Namespaces } from '../namespaces/namespace-service.ts';
import type { Versions } from '../versions/version-service.ts';
import { createHeartbeats } from './heartbeats.ts';
import { instanceRoutes } from './instance-routes.ts';
import { listOpenNamespaces } from './instance-store.ts';
import { createPolicies } from './policy-service.ts';
import { createReports } from './report-service.ts';
import { createRolloutMetrics } from './rollout-metrics.ts';
import { rolloutRoutes } from './rollout-routes.ts';
import { createRolloutLife, settleTask } from './rollout-service.ts';
import { createSlotDesk } from './slot-desk.ts';
import { createSlots } from './slot-service.ts';
import { createStartVersions } from './start-version.ts';

/** Wires rollouts and instances. */
export function createRollouts(deps: {
  db: Db;
  clock: Clock;
  log: Logger;
  jobs: Pick<Jobs, 'add' | 'register' | 'cron'>;
  changes: Pick<Changes, 'announce' | 'hear'>;
  metrics: Pick<Metrics, 'registry'>;
  audit: Pick<Audit, 'append'>;
  services: Pick<Identity['services'], 'getService'>;
  callers: Pick<Callers, 'authenticateAgent'>;
  namespaces: Pick<Namespaces, 'getNamespace'>;
  rollback: Versions['rollback'];
}) {
  const { db, clock, jobs } = deps;
  const metrics = createRolloutMetrics(deps.metrics);
  const life = createRolloutLife({ ...deps, metrics });
  const report = createReports({ db, clock, life });
  const { decideSlots } = createSlots({ db, clock, life, metrics });
  const desk = createSlotDesk({ ...deps, decideSlots });
  const heartbeats = createHeartbeats(deps);
  const policies = createPolicies(deps);

  /** Looks at one namespace. A job that came early finds nothing, and the minute's look comes behind it. */
  const settle = (namespaceId: string): Promise<void> =>
    db.transaction(async (tx) => {
      const stand = await life.lock(tx, namespaceId);
      if (stand) await life.settle(tx, stand);
    });
  /** Looks at everything that time may have moved. */
  const tick = async (): Promise<void> => {
    await heartbeats.watch();
    const open = await db.read((tx) => listOpenNamespaces(tx, clock.now()));
    for (const namespaceId of open) await settle(namespaceId);
  };
  jobs.register<{ namespace_id: string }>(settleTask, ({ namespace_id }) => settle(namespace_id));
  jobs.cron('configuration-settle-rollouts', '* * * * *', tick);

  return {
    /** In the publishing transaction: the rollout of the new version begins. */
    begin: life.begin,
    /** Which version an instance starts with: see {@link createStartVersions}. */
    startVersion: createStartVersions(deps),
    /** An agent has asked for a namespace; written down with others every ten seconds. */
    seen: heartbeats.seen,
    /** Writes down who was seen. */
    flushSeen: heartbeats.flush,
    tick,
    /** An agent stands in line for a slot on this node: see {@link createSlotDesk}. */
    ask: desk.ask,
    /** How many agents stand in line for a slot on this node. */
    waiting: desk.waiting,
    routes(app: App): void {
      rolloutRoutes({ ...deps, policies, life })(app);
      instanceRoutes({ ...deps, report, desk })(app);
    },
    async start(): Promise<void> {
      // From its first moment a node counts as watching, so that a break is noticed by whoever decides next.
      await heartbeats.watch();
      heartbeats.start();
      desk.start();
    },
    async stop(): Promise<void> {
      desk.stop();
      await heartbeats.stop();
    },
  };
}

/** What {@link createRollouts} gives. */
export type Rollouts = ReturnType<typeof createRollouts>;
