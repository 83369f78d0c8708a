import { addSeconds } from '../../../kernel/index.ts';
import type { VersionKind } from '../versions/version.ts';
import type { Instance, Rollout, RolloutPhase, RolloutPolicy } from './rollout.ts';

/** The instances of a namespace counted for one version: those seen lately whose agents may still sign in. */
export interface Fleet {
  readonly size: number;
  /** Restart, fail, or hold a slot and may restart at any moment. */
  readonly down: number;
  /** Hold a slot, for whichever version. */
  readonly slots: number;
  /** Have the version's content, or a slot for it. */
  readonly begun: number;
  /** Have the version's content, are healthy and hold no slot. */
  readonly done: number;
  /** Run the version itself and are down. */
  readonly failing: number;
  /** Were not seen for so long that they do not count. */
  readonly gone: number;
}

/** A version as far as the rules are concerned. */
export interface Target {
  readonly version: number;
  readonly contentHash: string;
}

/** True when the instance cannot serve, or may stop serving at any moment. What has not run yet is not down. */
export function isDown(instance: Instance): boolean {
  if (instance.slotVersion !== undefined || instance.state === 'unhealthy') return true;
  return !instance.available && instance.runningVersion !== undefined;
}

/** The counts of the fleet with (`sign` 1) or without (`sign` -1) one instance. */
export function countInstance(fleet: Fleet, instance: Instance, target: Target, sign: 1 | -1): Fleet {
  const down = isDown(instance);
  const same = instance.contentHash === target.contentHash;
  const holds = instance.slotVersion !== undefined;
  const add = (counts: boolean) => (counts ? sign : 0);
  return {
    size: fleet.size + sign,
    down: fleet.down + add(down),
    slots: fleet.slots + add(holds),
    begun: fleet.begun + add(same || instance.slotVersion === target.version),
    done: fleet.done + add(same && instance.available && !holds),
    failing: fleet.failing + add(down && instance.runningVersion === target.version),
    gone: fleet.gone,
  };
}

/** A fleet without instances. */
export const noFleet: Fleet = { size: 0, down: 0, slots: 0, begun: 0, done: 0, failing: 0, gone: 0 };

/** How many instances go first: the share rounded up, at least one; 0 without a canary. */
export function canarySize(size: number, policy: Pick<RolloutPolicy, 'canaryPercent'>): number {
  return policy.canaryPercent === 0 ? 0 : Math.max(1, Math.ceil((size * policy.canaryPercent) / 100));
}

/** Why an instance has to wait, or may not restart at all. */
export type SlotRefusal = 'superseded' | 'stopped' | 'canary' | 'baking' | 'max_unavailable';

/** May this instance restart with the version? `needless`: it has the content, so there is nothing to restart for. */
export type SlotDecision =
  | { readonly granted: true; readonly kind: 'new' | 'held' | 'needless' }
  | { readonly granted: false; readonly reason: SlotRefusal };

/**
 * Decides on one slot. `others` is the fleet without the instance that asks. An instance that serves is let go only
 * while fewer than `maxUnavailable` are down for whatever reason; one that is down anyway makes nothing worse by its
 * restart, so it only has to find a slot free.
 */
export function decideSlot(input: {
  rollout: Pick<Rollout, 'state' | 'phase'>;
  latest: Target;
  asked: number;
  instance: Instance | undefined;
  others: Fleet;
  policy: RolloutPolicy;
}): SlotDecision {
  const { rollout, latest, asked, instance, others, policy } = input;
  if (asked < latest.version) return { granted: false, reason: 'superseded' };
  if (instance?.slotVersion === asked) return { granted: true, kind: 'held' };
  const hasContent = instance?.contentHash === latest.contentHash;
  if (hasContent && instance.available) return { granted: true, kind: 'needless' };
  if (rollout.state === 'stopped' || rollout.state === 'failed') return { granted: false, reason: 'stopped' };
  if (rollout.state === 'running' && !hasContent) {
    if (rollout.phase === 'canary_bake') return { granted: false, reason: 'baking' };
    if (rollout.phase === 'canary' && others.begun >= canarySize(others.size + 1, policy)) {
      return { granted: false, reason: 'canary' };
    }
  }
  const serves = instance !== undefined && instance.runningVersion !== undefined && !isDown(instance);
  const busy = serves ? others.down : others.slots;
  return busy < policy.maxUnavailable ? { granted: true, kind: 'new' } : { granted: false, reason: 'max_unavailable' };
}

/** What a running rollout does next: stay (undefined), go to another phase, or end. */
export type Step = { readonly to: 'completed' } | { readonly to: RolloutPhase; readonly bakeUntil?: Date };

/**
 * The next step of a running rollout. Nobody left to change ends it, after the bake. A fleet that is merely gone has
 * shown nothing: such a rollout stays open until an instance comes back or a newer version is published.
 */
export function nextStep(
  rollout: Pick<Rollout, 'phase' | 'bakeUntil'>,
  fleet: Fleet,
  policy: RolloutPolicy,
  now: Date,
): Step | undefined {
  const settled = fleet.size === fleet.begun && fleet.failing === 0 && fleet.slots === 0;
  const finished = settled && !(fleet.size === 0 && fleet.gone > 0);
  const baked = rollout.bakeUntil !== undefined && now >= rollout.bakeUntil;
  const bake = (to: 'canary_bake' | 'final_bake'): Step => ({ to, bakeUntil: addSeconds(now, policy.bakeSeconds) });
  if (rollout.phase === 'canary_bake' || rollout.phase === 'final_bake') {
    if (!baked) return undefined;
    return finished ? { to: 'completed' } : { to: 'all' };
  }
  if (finished) return policy.bakeSeconds > 0 && fleet.size > 0 ? bake('final_bake') : { to: 'completed' };
  if (rollout.phase === 'all' || fleet.done < canarySize(fleet.size, policy)) return undefined;
  return policy.bakeSeconds > 0 && policy.canaryPercent > 0 ? bake('canary_bake') : { to: 'all' };
}

/** Where a rollout begins: automatic rollbacks go to all at once, for their content has been tried. */
export function firstPhase(kind: VersionKind, policy: RolloutPolicy): RolloutPhase {
  return kind === 'automatic_rollback' || policy.canaryPercent === 0 ? 'all' : 'canary';
}

/** What follows from the first failure: the old content as a new version, or a stop that people have to look at. */
export type FailureOutcome =
  | { readonly do: 'roll_back'; readonly to: number }
  | { readonly do: 'stop' | 'fail'; readonly why: string };

/** Decides on a failure of a running rollout. A rollback that fails is not rolled back: that would never end. */
export function decideFailure(
  kind: VersionKind,
  policy: RolloutPolicy,
  latest: Target,
  stable: Target | undefined,
): FailureOutcome {
  if (kind === 'automatic_rollback') {
    return { do: 'fail', why: 'This version is the automatic rollback itself: another one would bring nothing new.' };
  }
  if (!policy.automaticRollback) return { do: 'stop', why: 'The policy has automatic_rollback off.' };
  if (!stable)
    return { do: 'stop', why: 'No version before it has reached all instances, so there is none to return to.' };
  if (stable.contentHash === latest.contentHash) {
    return { do: 'stop', why: `Version ${stable.version}, the last that reached all instances, has the same content.` };
  }
  return { do: 'roll_back', to: stable.version };
}

/**
 * The version an instance starts with. While a rollout is open, that is the last version that reached all, so that a
 * fresh start does not jump the queue; an instance that was let go already goes on with the new one.
 */
export function startVersion(input: {
  rollout: Pick<Rollout, 'state'>;
  latest: Target;
  stable: Target | undefined;
  instance: Pick<Instance, 'runningVersion' | 'slotVersion' | 'available'> | undefined;
}): number {
  const { rollout, latest, stable, instance } = input;
  if (rollout.state === 'completed' || !stable || stable.contentHash === latest.contentHash) return latest.version;
  const running = rollout.state === 'running';
  if (running && instance?.slotVersion === latest.version) return latest.version;
  if (instance?.runningVersion === latest.version && (running || instance.available)) return latest.version;
  return stable.version;
}
