import { Name, strictObject, Timestamp } from '@gatehouse/contracts';
import { type Static, Type } from 'typebox';
import type { ListedInstance } from './instance-store.ts';
import {
  countNames,
  defaultPolicy,
  goneAfterSeconds,
  instanceStates,
  policyBounds,
  type Rollout,
  type RolloutCounts,
  type RolloutPolicy,
} from './rollout.ts';

export const VersionInteger = Type.Integer({ minimum: 1, maximum: 999_999_999 });

/** A policy as it is answered. */
export const PolicyBody = strictObject({
  max_unavailable: Type.Integer({
    ...policyBounds.maxUnavailable,
    description: 'instances of a namespace that may be down at once',
  }),
  canary_percent: Type.Integer({
    ...policyBounds.canaryPercent,
    description: 'share of the instances that go first, at least one; 0 for no canary',
  }),
  bake_seconds: Type.Integer({
    ...policyBounds.bakeSeconds,
    description: 'how long the canary, and at the end all, have to stay healthy before it goes on',
  }),
  lease_seconds: Type.Integer({
    ...policyBounds.leaseSeconds,
    description: 'how long an instance may take from its slot to the report that it is healthy',
  }),
  automatic_rollback: Type.Boolean({
    description: 'the first unhealthy instance brings the old content back as a new version',
  }),
});

/** A policy as it is set: what is left out takes its default. */
export const NewPolicyBody = Type.Partial(PolicyBody, { additionalProperties: false });

/** The policy that a request sets. */
export function policyOf(body: Static<typeof NewPolicyBody>): RolloutPolicy {
  return {
    maxUnavailable: body.max_unavailable ?? defaultPolicy.maxUnavailable,
    canaryPercent: body.canary_percent ?? defaultPolicy.canaryPercent,
    bakeSeconds: body.bake_seconds ?? defaultPolicy.bakeSeconds,
    leaseSeconds: body.lease_seconds ?? defaultPolicy.leaseSeconds,
    automaticRollback: body.automatic_rollback ?? defaultPolicy.automaticRollback,
  };
}

const CountsBody = strictObject(
  Object.fromEntries(countNames.map((name) => [name, Type.Integer()])) as Record<
    (typeof countNames)[number],
    ReturnType<typeof Type.Integer>
  >,
  { description: 'where the instances are; each is counted once' },
);

/** A rollout as the list shows it. */
export const RolloutBody = strictObject({
  service: Name,
  namespace: Name,
  version: Type.Integer(),
  state: Type.Enum(['running', 'completed', 'stopped', 'failed', 'superseded']),
  phase: Type.Optional(
    Type.Enum(['canary', 'canary_bake', 'all', 'final_bake'], { description: 'while it is running' }),
  ),
  bake_until: Type.Optional(Timestamp),
  reason: Type.Optional(Type.String({ description: 'why it stopped or failed' })),
  cause: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'the instance or person behind it' })),
  counts: CountsBody,
  started_at: Timestamp,
  ended_at: Type.Optional(Timestamp),
});

/** A rollout with what decides on it. */
export const RolloutDetailBody = strictObject({
  ...RolloutBody.properties,
  stable_version: Type.Optional(Type.Integer({ description: 'the newest version that has reached all instances' })),
  policy: PolicyBody,
});

/** Shapes a rollout for the wire. */
export function rolloutToWire(
  { service, name }: { readonly service: string; readonly name: string },
  rollout: Rollout,
  counts: RolloutCounts,
): Static<typeof RolloutBody> {
  return {
    service,
    namespace: name,
    version: rollout.version,
    state: rollout.state,
    ...(rollout.state === 'running' ? { phase: rollout.phase } : {}),
    ...(rollout.bakeUntil === undefined ? {} : { bake_until: rollout.bakeUntil.toISOString() }),
    ...(rollout.reason === undefined ? {} : { reason: rollout.reason }),
    ...(rollout.cause === undefined ? {} : { cause: rollout.cause }),
    counts: { ...counts },
    started_at: rollout.startedAt.toISOString(),
    ...(rollout.endedAt === undefined ? {} : { ended_at: rollout.endedAt.toISOString() }),
  };
}

/** An instance as the list shows it: who runs what since when. */
export const InstanceBody = strictObject({
  namespace: Name,
  agent_id: Type.String(),
  name: Type.String(),
  state: Type.Enum([...instanceStates]),
  version: Type.Integer({ description: 'the version that state speaks of' }),
  running_version: Type.Optional(Type.Integer({ description: 'what its process was last started with' })),
  content_hash: Type.Optional(Type.String({ description: 'of running_version' })),
  available: Type.Boolean({ description: 'false while its process restarts or fails' }),
  reason: Type.Optional(Type.String()),
  since: Timestamp,
  last_seen_at: Timestamp,
  slot: Type.Optional(strictObject({ version: Type.Integer(), expires_at: Timestamp })),
  in_fleet: Type.Boolean({
    description: `false when it has stopped, was revoked, or was not seen for ${goneAfterSeconds / 60} minutes`,
  }),
});

/** Shapes an instance for the wire. */
export function instanceToWire(listed: ListedInstance, now: Date): Static<typeof InstanceBody> {
  const { instance, name, revoked, namespace } = listed;
  const gone = now.getTime() - instance.lastSeenAt.getTime() > goneAfterSeconds * 1000;
  return {
    namespace,
    agent_id: instance.agentId,
    name,
    state: instance.state,
    version: instance.version,
    ...(instance.runningVersion === undefined ? {} : { running_version: instance.runningVersion }),
    ...(instance.contentHash === undefined ? {} : { content_hash: instance.contentHash }),
    available: instance.available,
    ...(instance.reason === undefined ? {} : { reason: instance.reason }),
    since: instance.since.toISOString(),
    last_seen_at: instance.lastSeenAt.toISOString(),
    ...(instance.slotVersion === undefined || instance.reportDueAt === undefined
      ? {}
      : { slot: { version: instance.slotVersion, expires_at: instance.reportDueAt.toISOString() } }),
    in_fleet: instance.state !== 'stopped' && !revoked && !gone,
  };
}

/** Counts of a rollout that ended without any instance. */
export const noCounts = Object.fromEntries(countNames.map((name) => [name, 0])) as RolloutCounts;
