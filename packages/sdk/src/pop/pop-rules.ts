/**
 * What is true of a service's keys at a given time: pure functions, no store, no clock.
 *
 * A pass does, in this order and only where a time lies strictly before now: created keys whose time has come turn valid
 * and get a successor; valid keys past `notAfter` turn legacy; legacy keys past `expireAt` are removed; missing valid
 * keys are made.
 */
import { GatehouseError } from '../errors.ts';
import type { PopAlgorithm, PopDocument, PopKey, PopPolicy, PopUse } from './pop-key.ts';

/** A policy with every default filled in. */
export interface ResolvedKeyPolicy {
  use: PopUse;
  alg: PopAlgorithm;
  validitySeconds: number;
  legacySeconds: number;
  minKeys: number;
  initialCount: number;
  modulusBits: 2048 | 3072 | 4096;
}

/** A policy with every default filled in. */
export interface ResolvedPolicy {
  checkIntervalSeconds: number;
  keys: ResolvedKeyPolicy[];
}

/** A key that a pass asks for; the caller makes the key pair. */
export interface WantedKey {
  policy: ResolvedKeyPolicy;
  state: 'created' | 'valid';
  notBefore: Date;
}

/** Result of a pass: the keys that stay (with their new states) and those that are to be made. */
export interface RotationPlan {
  changed: boolean;
  keys: PopKey[];
  wanted: WantedKey[];
}

/** The longest time others may keep our public keys; see `cacheSeconds`. */
export const maxPublishedCacheSeconds = 300;

const algorithmsByUse: Record<PopUse, readonly PopAlgorithm[]> = {
  enc: ['RSA-OAEP-256', 'ECDH-ES+A256KW'],
  sig: ['ES256', 'EdDSA', 'PS256', 'RS256'],
};

/** Fills in the defaults and refuses a policy that cannot work, with the numbers. */
export function resolvePolicy(policy: PopPolicy = {}): ResolvedPolicy {
  const checkIntervalSeconds = policy.checkIntervalSeconds ?? 60;
  assertWhole('checkIntervalSeconds', checkIntervalSeconds, 1, 3600);
  const keys = policy.keys ?? [{ use: 'enc', alg: 'RSA-OAEP-256' }];
  if (keys.length === 0) throw invalid('keys must name at least one kind of key.');
  const seen = new Set<string>();
  return {
    checkIntervalSeconds,
    keys: keys.map((key, index) => {
      const at = `keys[${index}]`;
      if (!algorithmsByUse[key.use]?.includes(key.alg)) {
        throw invalid(`${at}: algorithm ${key.alg} cannot be used for ${key.use}.`);
      }
      if (seen.has(kindOf(key))) throw invalid(`${at}: ${key.use} ${key.alg} is named twice.`);
      seen.add(kindOf(key));
      const resolved: ResolvedKeyPolicy = {
        use: key.use,
        alg: key.alg,
        validitySeconds: key.validitySeconds ?? 86_400,
        legacySeconds: key.legacySeconds ?? 604_800,
        minKeys: key.minKeys ?? 1,
        initialCount: key.initialCount ?? 1,
        modulusBits: key.modulusBits ?? 2048,
      };
      assertWhole(`${at}.validitySeconds`, resolved.validitySeconds, 1, 10 * 365 * 86_400);
      assertWhole(`${at}.legacySeconds`, resolved.legacySeconds, 1, 20 * 365 * 86_400);
      assertWhole(`${at}.minKeys`, resolved.minKeys, 1, 20);
      assertWhole(`${at}.initialCount`, resolved.initialCount, 1, 20);
      // Both intervals count from the activation, so this is what is left for work sealed in the last moment.
      if (resolved.legacySeconds <= resolved.validitySeconds) {
        throw invalid(
          `${at}: legacySeconds (${resolved.legacySeconds}) counts from the key's activation and must be greater than ` +
            `validitySeconds (${resolved.validitySeconds}), or old work could no longer be opened.`,
        );
      }
      return resolved;
    }),
  };
}

/** The keys to make when the store is empty: `initialCount` times one valid key and its successor. */
export function planFirstKeys(policy: ResolvedPolicy, now: Date): RotationPlan {
  const wanted: WantedKey[] = [];
  for (const key of policy.keys) {
    for (let n = 0; n < key.initialCount; n++) {
      wanted.push({ policy: key, state: 'valid', notBefore: now });
      wanted.push({ policy: key, state: 'created', notBefore: later(now, key.validitySeconds) });
    }
  }
  return { changed: true, keys: [], wanted };
}

/** One rotation pass. With `force`, keys that are valid now turn legacy and their successors take over at once. */
export function planRotation(
  document: PopDocument,
  policy: ResolvedPolicy,
  now: Date,
  options: { force?: boolean } = {},
): RotationPlan {
  const force = options.force === true;
  const wanted: WantedKey[] = [];
  const keys: PopKey[] = [];
  let changed = false;

  for (const key of document.keys) {
    const rule = policy.keys.find((candidate) => kindOf(candidate) === kindOf(key));
    let next = key;
    const wasValid = key.state === 'valid';
    if (next.state === 'created' && rule !== undefined && (force || isBefore(next.notBefore, now))) {
      const notAfter = later(now, rule.validitySeconds);
      next = {
        ...next,
        state: 'valid',
        ...(force ? { notBefore: now.toISOString() } : {}),
        notAfter: notAfter.toISOString(),
        expireAt: later(now, rule.legacySeconds).toISOString(),
      };
      wanted.push({ policy: rule, state: 'created', notBefore: notAfter });
    }
    if (next.state === 'valid' && wasValid && (force || rule === undefined || isBefore(next.notAfter, now))) {
      next = { ...next, state: 'legacy', ...(force ? { notAfter: now.toISOString() } : {}) };
    }
    if (next.state === 'expired' || (next.state === 'legacy' && isBefore(next.expireAt, now))) {
      changed = true;
      continue;
    }
    // A created key whose kind the policy no longer names would never be used.
    if (next.state === 'created' && rule === undefined) {
      changed = true;
      continue;
    }
    if (next !== key) changed = true;
    keys.push(next);
  }

  for (const rule of policy.keys) {
    const valid = keys.filter((key) => key.state === 'valid' && kindOf(key) === kindOf(rule)).length;
    for (let missing = rule.minKeys - valid; missing > 0; missing--) {
      wanted.push({ policy: rule, state: 'valid', notBefore: now });
    }
    // A kind that was added to the policy later has no successor waiting: without one, its rotation would be unannounced.
    const waiting =
      keys.some((key) => key.state === 'created' && kindOf(key) === kindOf(rule)) ||
      wanted.some((key) => key.state === 'created' && key.policy === rule);
    if (!waiting) wanted.push({ policy: rule, state: 'created', notBefore: later(now, rule.validitySeconds) });
  }
  return { changed: changed || wanted.length > 0, keys, wanted };
}

/** Builds the stored key for a wanted one, once its pair exists. */
export function keyFor(wanted: WantedKey, pair: { kid: string; privateJwk: PopKey['privateJwk'] }, now: Date): PopKey {
  const { policy } = wanted;
  return {
    kid: pair.kid,
    use: policy.use,
    alg: policy.alg,
    state: wanted.state,
    createdAt: now.toISOString(),
    notBefore: wanted.notBefore.toISOString(),
    ...(wanted.state === 'valid'
      ? {
          notAfter: later(wanted.notBefore, policy.validitySeconds).toISOString(),
          expireAt: later(wanted.notBefore, policy.legacySeconds).toISOString(),
        }
      : {}),
    privateJwk: pair.privateJwk,
  };
}

/** False from the moment a key has expired, whatever state is stored: a rotation that fails must not prolong a key. */
export function isUsable(key: PopKey, now: Date): boolean {
  return key.state !== 'expired' && (key.expireAt === undefined || Date.parse(key.expireAt) > now.getTime());
}

/** Keys that /pop shows: encryption keys that are valid; signature keys from creation until they expire. */
export function publishedKeys(document: PopDocument, now: Date): PopKey[] {
  return document.keys.filter((key) => isUsable(key, now) && (key.use === 'sig' || key.state === 'valid'));
}

/** When the next change is due, if any is known. */
export function nextChangeAt(document: PopDocument): Date | undefined {
  const times = document.keys
    .map((key) => (key.state === 'created' ? key.notBefore : key.state === 'valid' ? key.notAfter : key.expireAt))
    .filter((time) => time !== undefined)
    .map((time) => Date.parse(time));
  return times.length === 0 ? undefined : new Date(Math.min(...times));
}

/**
 * How long others may keep our public keys: until the next change, at least 1 s, at most 300 s, and never longer than
 * half of the time for which a key still opens after it was replaced.
 */
export function cacheSeconds(document: PopDocument, policy: ResolvedPolicy, now: Date): number {
  const next = nextChangeAt(document);
  const untilNext = next === undefined ? maxPublishedCacheSeconds : Math.ceil((next.getTime() - now.getTime()) / 1000);
  const overlap = Math.min(...policy.keys.map((key) => key.legacySeconds - key.validitySeconds));
  return Math.max(1, Math.min(maxPublishedCacheSeconds, untilNext, Math.floor(overlap / 2)));
}

function kindOf(key: { use: PopUse; alg: PopAlgorithm }): string {
  return `${key.use} ${key.alg}`;
}

function isBefore(time: string | undefined, now: Date): boolean {
  return time !== undefined && Date.parse(time) < now.getTime();
}

function later(time: Date, seconds: number): Date {
  return new Date(time.getTime() + seconds * 1000);
}

function assertWhole(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw invalid(`${name} must be a whole number from ${min} to ${max}; it is ${value}.`);
  }
}

function invalid(message: string): GatehouseError {
  return new GatehouseError('pop_policy_invalid', message);
}
