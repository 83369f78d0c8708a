import { addSeconds } from '../../kernel/index.ts';
import type { KeyringDefinition, KeyringPolicy, KeyTimes } from './key.ts';

/** Skew between clocks that verifiers are allowed, seconds. */
export const maxClockSkewSeconds = 60;

/**
 * What is wrong with a policy, with the numbers; empty when it holds.
 * `longestUseSeconds` is the longest life of what is signed (or encrypted) with a key of the ring.
 */
export function policyProblems(definition: KeyringDefinition, longestUseSeconds: number): string[] {
  const { policy, name, use } = definition;
  const problems: string[] = [];
  const wholes: [keyof KeyringPolicy, number][] = [
    ['validitySeconds', 1],
    ['legacySeconds', 1],
    ['publishBeforeSeconds', 0],
    ['minKeys', 1],
    ['checkIntervalSeconds', 1],
    ['initialCount', 1],
  ];
  for (const [field, least] of wholes) {
    if (!Number.isSafeInteger(policy[field]) || policy[field] < least || policy[field] > 2_147_483_647) {
      problems.push(`${name}: ${field} is ${policy[field]}; it must be a whole number from ${least} to 2147483647.`);
    }
  }
  if (problems.length > 0) return problems;
  const tail = policy.legacySeconds - policy.validitySeconds;
  const needed = longestUseSeconds + maxClockSkewSeconds;
  if (tail < needed) {
    problems.push(
      `${name}: legacySeconds ${policy.legacySeconds} leaves ${tail} s after validitySeconds ${policy.validitySeconds}, but what is ${use === 'sig' ? 'signed' : 'encrypted'} in the last instant lives ${longestUseSeconds} s, plus ${maxClockSkewSeconds} s of clock skew. Set legacySeconds to at least ${policy.validitySeconds + needed}.`,
    );
  }
  const shortest = policy.publishBeforeSeconds + policy.checkIntervalSeconds;
  if (policy.validitySeconds < shortest) {
    problems.push(
      `${name}: validitySeconds ${policy.validitySeconds} is shorter than publishBeforeSeconds ${policy.publishBeforeSeconds} plus checkIntervalSeconds ${policy.checkIntervalSeconds}: the next key would sign before every cache has it. Set it to at least ${shortest}.`,
    );
  }
  return problems;
}

/** What a new policy changes in the keys there are: only ends that come earlier; new keys get the new times. */
export interface PolicyChangePlan {
  /** `valid` keys that end earlier. */
  readonly shorten: readonly { readonly kid: string; readonly notAfter: Date; readonly expireAt: Date }[];
  /** `created` keys that begin earlier, because the key before them ends earlier. */
  readonly advance: readonly { readonly kid: string; readonly notBefore: Date }[];
}

/**
 * A shorter validity applies to the keys in use too, as if they had been activated under it, but none ends before its
 * successor is in every cache. A longer one applies from the next key on: an end that was announced is not put off.
 */
export function planPolicyChange(policy: KeyringPolicy, keys: readonly KeyTimes[], now: Date): PolicyChangePlan {
  const created = keys.filter((key) => key.state === 'created');
  const soonest = created.reduce((latest, key) => (key.readyAt > latest ? key.readyAt : latest), now);
  const shorten = keys.flatMap((key) => {
    if (key.state !== 'valid' || key.notAfter === undefined) return [];
    const counted = addSeconds(key.notBefore, policy.validitySeconds);
    const notAfter = counted < soonest ? soonest : counted;
    if (notAfter >= key.notAfter) return [];
    return [{ kid: key.kid, notAfter, expireAt: addSeconds(notAfter, policy.legacySeconds - policy.validitySeconds) }];
  });
  const end = shorten.map((one) => one.notAfter).sort((a, b) => a.getTime() - b.getTime())[0];
  const advance = created.flatMap((key) => (end && end < key.notBefore ? [{ kid: key.kid, notBefore: end }] : []));
  return { shorten, advance };
}
