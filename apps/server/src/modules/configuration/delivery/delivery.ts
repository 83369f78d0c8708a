/**
 * Delivery: how versions reach agents. Long-polls and streams of events wait in the hub of their node; a version is
 * handed out as a signed bundle with its secrets encrypted to the one agent that asks.
 *
 * Invariants kept here: a read after an acknowledged publication, on any node, gives that version or a newer one; a
 * stream has every version once and in order; secrets go to enrolled agents only, encrypted to their own key, and never
 * without an audit entry; whoever may no longer be served is not kept waiting either.
 */

import { Gauge, Histogram } from 'prom-client';
import {
  type App,
  type Changes,
  type Clock,
  type Db,
  type Logger,
  type Metrics,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Keys } from '../../keys/index.ts';
import type { Callers } from '../agents/callers.ts';
import { agentsTopic } from '../agents/limits.ts';
import type { Rollouts } from '../rollouts/rollouts.ts';
import type { SecretValues } from '../values/secret-values.ts';
import { createBundles } from './bundles.ts';
import { deliveryRoutes } from './delivery-routes.ts';
import { createHub, publishedTopic } from './hub.ts';

/** Wires delivery on this node. */
export function createDelivery(deps: {
  issuer: string;
  db: Db;
  clock: Clock;
  log: Logger;
  metrics: Pick<Metrics, 'registry'>;
  changes: Pick<Changes, 'announce' | 'hear' | 'watch'>;
  audit: Pick<Audit, 'appendAll'>;
  keys: Pick<Keys, 'sign' | 'inUse' | 'configurationKeys'>;
  callers: Callers;
  secretValues: Pick<SecretValues, 'open'>;
  rollouts: Pick<Rollouts, 'seen' | 'startVersion'>;
}) {
  const { db, clock, log, changes, callers, keys, rollouts } = deps;
  const bundles = createBundles(deps);
  const hub = createHub({
    db,
    log,
    changes,
    now: () => clock.now(),
    observer: {
      ...observe(deps.metrics, () => hub.counts()),
      seen: (caller, namespaceId) => {
        if (caller.kind === 'agent') rollouts.seen(caller.agentId, namespaceId);
      },
    },
  });
  const endRefused = () => hub.endRefused(callers.stillGood);
  let stopWatching: (() => void)[] = [];

  return {
    /** In the publishing transaction: every node tells those who wait, right after the commit. */
    async published(
      tx: Tx,
      { namespace, version }: { namespace: { id: string }; version: { version: number; createdAt: Date } },
    ): Promise<void> {
      const message = `${namespace.id} ${version.version} ${version.createdAt.getTime()}`;
      await changes.announce(tx, publishedTopic, message);
    },
    routes(app: App): void {
      deliveryRoutes({ callers, bundles, hub, keys, rollouts })(app);
    },
    async start(): Promise<void> {
      stopWatching = [agentsTopic, 'services'].map((topic) => changes.watch(topic, endRefused));
      hub.start();
    },
    async stop(): Promise<void> {
      for (const stop of stopWatching) stop();
      await hub.stop();
    },
  };
}

/** What {@link createDelivery} gives. */
export type Delivery = ReturnType<typeof createDelivery>;

function observe(metrics: Pick<Metrics, 'registry'>, counts: () => { polls: number; streams: number }) {
  const registers = [metrics.registry];
  const waiting = new Gauge({
    name: 'gatehouse_configuration_waiting',
    help: 'Agents that wait for a new version on this node, by how they wait',
    labelNames: ['kind'],
    registers,
    collect() {
      const { polls, streams } = counts();
      waiting.set({ kind: 'poll' }, polls);
      waiting.set({ kind: 'stream' }, streams);
    },
  });
  const sent = new Histogram({
    name: 'gatehouse_configuration_sent_seconds',
    help: 'From the publication of a version until all who waited for it on this node were written to',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    registers,
  });
  return { sent: (_receivers: number, seconds: number) => sent.observe(seconds) };
}
