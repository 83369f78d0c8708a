import { AppError, addSeconds, type Clock, type Db, type Outcome, type Tx } from '../../../kernel/index.ts';
import { grantSlot, newInstance } from './instance-rules.ts';
import { countFleet, findInstances, saveInstances, updateSeen } from './instance-store.ts';
import type { Instance } from './rollout.ts';
import type { RolloutMetrics } from './rollout-metrics.ts';
import { countInstance, decideSlot, type Fleet, type SlotRefusal } from './rollout-rules.ts';
import type { RolloutLife, Stand } from './rollout-service.ts';

/** One agent asks whether it may restart its process with a version. */
export interface SlotRequest {
  readonly agentId: string;
  readonly version: number;
}

/** A request in line. One that was decided on before was noted as seen then. */
export interface LinedRequest extends SlotRequest {
  readonly isNew: boolean;
}

/** The answer. A refused one may ask again after `retryAfterSeconds`. */
export type SlotAnswer =
  | { readonly granted: true; readonly expiresAt: Date }
  | {
      readonly granted: false;
      readonly reason: SlotRefusal;
      readonly retryAfterSeconds: number;
      readonly latestVersion: number;
    };

/** Gives slots to who asks in a namespace: all requests of a moment under one lock, in the order they came. */
export function createSlots(deps: {
  db: Db;
  clock: Clock;
  life: Pick<RolloutLife, 'lock' | 'settle' | 'schedule'>;
  metrics: RolloutMetrics;
}) {
  const { db, clock, life, metrics } = deps;

  const decide = async (tx: Tx, stand: Stand, requests: readonly LinedRequest[]): Promise<Outcome<SlotAnswer>[]> => {
    const { namespace, latest, rollout, policy } = stand;
    const now = clock.now();
    // Whoever asks is there, so it is counted below even if it was not seen for long.
    const arrived = requests.filter((one) => one.isNew);
    if (arrived.length > 0) {
      await updateSeen(
        tx,
        arrived.map(({ agentId }) => ({ namespaceId: namespace.id, agentId, at: now })),
      );
    }
    const known = await findInstances(
      tx,
      namespace.id,
      requests.map((one) => one.agentId),
    );
    let fleet = await countFleet(tx, namespace.id, latest, now);
    const granted = new Map<string, Instance>();
    const outcomes = requests.map(({ agentId, version }): Outcome<SlotAnswer> => {
      if (version > latest.version) return { error: noSuchVersion(version, latest.version) };
      const instance = granted.get(agentId) ?? known.get(agentId);
      const others = withoutInstance(fleet, instance, stand);
      const decision = decideSlot({ rollout, latest, asked: version, instance, others, policy });
      if (!decision.granted) {
        const retryAfterSeconds = retryAfter(decision.reason, rollout.bakeUntil, now);
        return { value: { ...decision, retryAfterSeconds, latestVersion: latest.version } };
      }
      if (decision.kind !== 'new') {
        const expiresAt = decision.kind === 'held' ? instance?.reportDueAt : undefined;
        return { value: { granted: true, expiresAt: expiresAt ?? addSeconds(now, policy.leaseSeconds) } };
      }
      const before = instance ?? newInstance(namespace.id, agentId, version, now);
      const after = grantSlot(before, version, policy.leaseSeconds, now);
      granted.set(agentId, after);
      fleet = countInstance(others, after, latest, 1);
      return { value: { granted: true, expiresAt: addSeconds(now, policy.leaseSeconds) } };
    });
    if (granted.size > 0) {
      await saveInstances(tx, [...granted.values()]);
      await life.schedule(tx, namespace.id);
      metrics.countSlots(granted.size);
    }
    return outcomes;
  };

  return {
    /** Decides on all requests of a namespace, in their order. */
    async decideSlots(namespaceId: string, requests: readonly LinedRequest[]): Promise<Outcome<SlotAnswer>[]> {
      return db.transaction(async (tx) => {
        const stand = await life.lock(tx, namespaceId);
        if (stand) return decide(tx, await life.settle(tx, stand), requests);
        const error = nothingPublished();
        return requests.map(() => ({ error }));
      });
    },
  };
}

/** The fleet without the one that asks. One that has stopped, or was never heard of, is not in it. */
function withoutInstance(fleet: Fleet, instance: Instance | undefined, { latest }: Stand): Fleet {
  return instance && instance.state !== 'stopped' ? countInstance(fleet, instance, latest, -1) : fleet;
}

/** When asking again makes sense, in seconds. */
const retrySeconds = { superseded: 1, max_unavailable: 5, canary: 10, baking: 30, stopped: 30 } as const;

/** As the table says, and not later than the end of the bake. */
function retryAfter(reason: SlotRefusal, bakeUntil: Date | undefined, now: Date): number {
  if (bakeUntil === undefined) return retrySeconds[reason];
  const left = Math.ceil((bakeUntil.getTime() - now.getTime()) / 1000);
  return Math.max(1, Math.min(retrySeconds[reason], left));
}

/** 404 for a version that was never published. */
export function noSuchVersion(version: number, latest: number): AppError {
  return new AppError('kernel.not_found', { detail: `There is no version ${version}; the newest is ${latest}.` });
}

/** 404 for a namespace that is gone or has no version yet. */
export function nothingPublished(): AppError {
  return new AppError('kernel.not_found', { detail: 'There is no version in this namespace.' });
}
