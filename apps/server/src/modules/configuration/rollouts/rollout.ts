import type { JsonObject } from '@gatehouse/contracts';

/** How changes reach the instances of a service. A change of it holds at once, for rollouts under way too. */
export interface RolloutPolicy {
  /** How many instances of a namespace may be down at once. */
  readonly maxUnavailable: number;
  /** Share of the instances that go first, at least one; 0 for no canary. */
  readonly canaryPercent: number;
  /** How long the canary, and at the end the whole fleet, has to stay healthy before the rollout goes on. */
  readonly bakeSeconds: number;
  /** How long an instance may take from its slot to the report that it is healthy. */
  readonly leaseSeconds: number;
  /** Publishes the old content anew when an instance becomes unhealthy. */
  readonly automaticRollback: boolean;
}

/** What holds for a service that has set nothing: one at a time, and back at the first failure. */
export const defaultPolicy: RolloutPolicy = {
  maxUnavailable: 1,
  canaryPercent: 0,
  bakeSeconds: 0,
  leaseSeconds: 120,
  automaticRollback: true,
};

/** Bounds of a policy. */
export const policyBounds = {
  maxUnavailable: { minimum: 1, maximum: 10_000 },
  canaryPercent: { minimum: 0, maximum: 100 },
  bakeSeconds: { minimum: 0, maximum: 86_400 },
  leaseSeconds: { minimum: 5, maximum: 3_600 },
} as const;

/** An agent that was not heard of for this long is no longer part of the fleet. Agents ask at least once a minute. */
export const goneAfterSeconds = 900;

/**
 * An agent that was not heard of for this long may be dead, and its process with it. Agents ask at least once a minute,
 * and what they ask is noted within seconds.
 */
export const silentAfterSeconds = 150;

/**
 * `running` until every instance has the content; `stopped` by a person or by a failure, and can be resumed; `failed`
 * when the old content could not bring the instances back; `superseded` by a newer version.
 */
export type RolloutState = 'running' | 'completed' | 'stopped' | 'failed' | 'superseded';

/** Where a running rollout is: a few first, a wait, then all, a wait. Phases that the policy does not ask for are skipped. */
export type RolloutPhase = 'canary' | 'canary_bake' | 'all' | 'final_bake';

/** What an agent reports. */
export type ReportedState = 'received' | 'applied' | 'rejected' | 'healthy' | 'unhealthy' | 'stopped';

/** What an instance is doing: `waiting` has asked for a slot and not reported anything yet. */
export type InstanceState = ReportedState | 'waiting';

/** All instance states. */
export const instanceStates = [
  'waiting',
  'received',
  'applied',
  'rejected',
  'healthy',
  'unhealthy',
  'stopped',
] as const;

/** The way of one version to the instances. */
export interface Rollout {
  readonly namespaceId: string;
  readonly version: number;
  readonly state: RolloutState;
  readonly phase: RolloutPhase;
  readonly bakeUntil: Date | undefined;
  readonly reason: string | undefined;
  readonly cause: JsonObject | undefined;
  /** How many instances were where when it ended. */
  readonly counts: RolloutCounts | undefined;
  readonly startedAt: Date;
  readonly endedAt: Date | undefined;
}

/** Where the instances of a namespace are with a version. Each is counted once. */
export type RolloutCounts = Readonly<Record<(typeof countNames)[number], number>>;

/**
 * What an instance can be counted as: `done` has the content and is healthy, `pending` runs other content, `in_slot` holds
 * a slot for it, `restarting` has it and has not said that it is healthy, `gone` was not seen for long.
 */
export const countNames = ['done', 'pending', 'in_slot', 'restarting', 'unhealthy', 'rejected', 'gone'] as const;

/** One agent with one namespace. */
export interface Instance {
  readonly namespaceId: string;
  readonly agentId: string;
  readonly state: InstanceState;
  /** The version that `state` speaks of. */
  readonly version: number;
  readonly runningVersion: number | undefined;
  /** Of the content it runs. */
  readonly contentHash: string | undefined;
  /** False while its process restarts or fails. */
  readonly available: boolean;
  /** Was unhealthy with this content and has not been healthy since: known, so no news when it says so again. */
  readonly failing: boolean;
  readonly reason: string | undefined;
  /** Since when it is in this state with this version. */
  readonly since: Date;
  readonly lastSeenAt: Date;
  /** The version it holds a slot for. */
  readonly slotVersion: number | undefined;
  /** By when it has to report that it is healthy or unhealthy. */
  readonly reportDueAt: Date | undefined;
}
