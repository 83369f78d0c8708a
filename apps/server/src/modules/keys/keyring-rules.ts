import { addSeconds } from '../../kernel/index.ts';
import type { KeyringPolicy, KeyTimes } from './key.ts';

/** What a pass over a keyring changes. Applied whole or not at all. */
export interface RotationPlan {
  /** `created` → `valid`, with the times that count from now. */
  readonly activate: readonly KeyActivation[];
  /** `valid` → `legacy`, with times cut short when it was not the schedule that ended it. */
  readonly retire: readonly { readonly kid: string; readonly notAfter: Date; readonly expireAt: Date }[];
  /** `legacy` → `expired`: the private key is erased. */
  readonly expire: readonly string[];
  /** any → `compromised`: the private key is erased. */
  readonly compromise: readonly string[];
  /** Key pairs to make. */
  readonly create: readonly NewKeyTimes[];
}

/** `notBefore` stays as planned, unless the activation comes before it. */
export interface KeyActivation {
  readonly kid: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly expireAt: Date;
}

/** The times of a key to be made. */
export type NewKeyTimes =
  | { readonly state: 'valid'; readonly notBefore: Date; readonly notAfter: Date; readonly expireAt: Date }
  | { readonly state: 'created'; readonly notBefore: Date };

/** True when there is nothing to do. */
export function isEmptyPlan(plan: RotationPlan): boolean {
  return [plan.activate, plan.retire, plan.expire, plan.compromise, plan.create].every((part) => part.length === 0);
}

/** The keys a new keyring begins with: per initial key one `valid` and its `created` successor. */
export function planInitialKeys(policy: KeyringPolicy, now: Date): RotationPlan {
  const draft = draftOf(policy, [], now);
  for (let count = 0; count < policy.initialCount; count += 1) {
    const { notAfter } = draft.createInstant();
    draft.createFuture(notAfter);
  }
  draft.topUp();
  return draft.plan();
}

/**
 * One scheduled pass, in this order; every comparison is strict, so that a key serves through its last instant.
 * 1. A `created` key whose time has come is activated, and its successor is made.
 * 2. A `valid` key past its end becomes `legacy`.
 * 3. A `legacy` key past its end expires.
 * 4. Fewer than `minKeys` valid: keys are made that are valid at once.
 * 5. No `created` key left: one is made for the end of the key that ends first.
 */
export function planRotation(policy: KeyringPolicy, keys: readonly KeyTimes[], now: Date): RotationPlan {
  const draft = draftOf(policy, keys, now);
  for (const key of inState(keys, 'created')) {
    if (key.notBefore < now) draft.createFuture(draft.activate(key));
  }
  draft.sweep();
  draft.topUp();
  return draft.plan();
}

/** Why a manual rotation is refused: the next key is not yet in every cache. */
export interface NotReady {
  readonly kid: string;
  readonly readyAt: Date;
}

/**
 * A rotation now: the next `created` key is activated, the `valid` keys beyond `minKeys` become `legacy`, the oldest
 * first, and a new `created` key is made. Without `force` the next key must have been published long enough.
 */
export function planManualRotation(
  policy: KeyringPolicy,
  keys: readonly KeyTimes[],
  now: Date,
  force: boolean,
): RotationPlan | NotReady {
  const next = nextCreated(keys);
  if (next && !force && next.readyAt > now) return { kid: next.kid, readyAt: next.readyAt };
  const draft = draftOf(policy, keys, now);
  draft.sweep();
  if (next) draft.createFuture(draft.activate(next));
  const oldest = inState(keys, 'valid').sort((a, b) => a.notBefore.getTime() - b.notBefore.getTime());
  for (const key of oldest) {
    if (draft.isValid(key.kid) && draft.validCount() > policy.minKeys) draft.retire(key);
  }
  draft.topUp();
  return draft.plan();
}

/** The key is withdrawn at once. Was it in use, the next key takes its place, however short it has been published. */
export function planCompromise(policy: KeyringPolicy, keys: readonly KeyTimes[], now: Date, kid: string): RotationPlan {
  const others = keys.filter((key) => key.kid !== kid);
  const draft = draftOf(policy, others, now);
  draft.compromise(kid);
  draft.sweep();
  const next = nextCreated(others);
  if (next && draft.validCount() < policy.minKeys) draft.createFuture(draft.activate(next));
  draft.topUp();
  return draft.plan();
}

/**
 * The key to use for new things at `now`: of the `valid` keys in their time that every cache has, the one activated
 * last. When a rotation is late, the `created` key whose time has come serves: it was published long before. Only when
 * neither is there (after a compromise) a `valid` key that is newly published. Nothing usable: undefined, never a key
 * past its time.
 */
export function keyInUse<K extends KeyTimes>(policy: KeyringPolicy, keys: readonly K[], now: Date): K | undefined {
  const usable = keys.filter((key) => {
    if (key.notBefore > now) return false;
    if (key.state === 'valid') return key.notAfter !== undefined && now <= key.notAfter;
    return key.state === 'created' && key.readyAt <= now && now <= addSeconds(key.notBefore, policy.validitySeconds);
  });
  const rank = (key: K) => (key.readyAt > now ? 0 : key.state === 'created' ? 1 : 2);
  return usable.sort(
    (a, b) => rank(b) - rank(a) || b.notBefore.getTime() - a.notBefore.getTime() || (a.kid < b.kid ? -1 : 1),
  )[0];
}

/** The next instant at which a pass changes something, as far as the present keys tell. */
export function nextTransitionAt(keys: readonly KeyTimes[]): Date | undefined {
  const times = keys.flatMap((key) => {
    if (key.state === 'created') return [key.notBefore];
    if (key.state === 'valid') return key.notAfter ? [key.notAfter] : [];
    return key.state === 'legacy' && key.expireAt ? [key.expireAt] : [];
  });
  return times.sort((a, b) => a.getTime() - b.getTime())[0];
}

function inState(keys: readonly KeyTimes[], state: KeyTimes['state']): KeyTimes[] {
  return keys.filter((key) => key.state === state);
}

function nextCreated(keys: readonly KeyTimes[]): KeyTimes | undefined {
  return inState(keys, 'created').sort(
    (a, b) => a.notBefore.getTime() - b.notBefore.getTime() || a.createdAt.getTime() - b.createdAt.getTime(),
  )[0];
}

/** Collects a plan while keeping count of what the keyring will look like after it. */
function draftOf(policy: KeyringPolicy, keys: readonly KeyTimes[], now: Date) {
  const created = new Map(inState(keys, 'created').map((key) => [key.kid, key.notBefore]));
  const valid = new Map(inState(keys, 'valid').map((key) => [key.kid, key]));
  const legacy = new Map(inState(keys, 'legacy').map((key) => [key.kid, key]));
  const activated: KeyActivation[] = [];
  const retired: { kid: string; notAfter: Date; expireAt: Date }[] = [];
  const expired: string[] = [];
  const compromised: string[] = [];
  const made: NewKeyTimes[] = [];
  const notAfter = addSeconds(now, policy.validitySeconds);
  const expireAt = addSeconds(now, policy.legacySeconds);
  const tailSeconds = policy.legacySeconds - policy.validitySeconds;
  const validCount = () => valid.size + activated.length + made.filter((key) => key.state === 'valid').length;

  const draft = {
    validCount,
    isValid: (kid: string) => valid.has(kid),
    /** Returns the end of the key's validity. */
    activate(key: KeyTimes): Date {
      created.delete(key.kid);
      activated.push({ kid: key.kid, notBefore: earlier(key.notBefore, now), notAfter, expireAt });
      return notAfter;
    },
    /** Ends a valid key now. It is accepted for as long as after a scheduled end, not for what was left besides. */
    retire(key: KeyTimes): void {
      valid.delete(key.kid);
      const end = earlier(key.notAfter, now);
      const gone = earlier(key.expireAt, addSeconds(end, tailSeconds));
      retired.push({ kid: key.kid, notAfter: end, expireAt: gone });
      legacy.set(key.kid, { ...key, state: 'legacy', notAfter: end, expireAt: gone });
    },
    /** Valid keys past their end become legacy, legacy keys past theirs expire: both may happen to one key. */
    sweep(): void {
      for (const key of valid.values()) if (key.notAfter && key.notAfter < now) draft.retire(key);
      for (const key of legacy.values()) {
        if (!key.expireAt || key.expireAt >= now) continue;
        legacy.delete(key.kid);
        const index = retired.findIndex((one) => one.kid === key.kid);
        if (index >= 0) retired.splice(index, 1);
        expired.push(key.kid);
      }
    },
    compromise(kid: string): void {
      compromised.push(kid);
    },
    createInstant() {
      made.push({ state: 'valid', notBefore: now, notAfter, expireAt });
      return { notAfter };
    },
    createFuture(notBefore: Date): void {
      made.push({ state: 'created', notBefore });
    },
    topUp(): void {
      while (validCount() < policy.minKeys) draft.createInstant();
      if (created.size > 0 || made.some((key) => key.state === 'created')) return;
      const ends = [...valid.values()].flatMap((key) => (key.notAfter ? [key.notAfter] : []));
      draft.createFuture(ends.reduce(earlier, notAfter));
    },
    plan: (): RotationPlan => ({
      activate: activated,
      retire: retired,
      expire: expired,
      compromise: compromised,
      create: made,
    }),
  };
  return draft;
}

function earlier(a: Date | undefined, b: Date): Date {
  return a !== undefined && a < b ? a : b;
}
