import { canonicalJson } from '@gatehouse/crypto';
import type { ConfigurationValue } from './configuration-version.ts';

type Values = Readonly<Record<string, ConfigurationValue>>;

/** Keys created, changed or deleted from one set of values to the next, sorted. */
export function changedKeysBetween(before: Values | undefined, after: Values): readonly string[] {
  if (before === undefined) return Object.keys(after).sort();
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter((key) => !isSame(before, after, key)).sort();
}

function isSame(before: Values, after: Values, key: string): boolean {
  if (!Object.hasOwn(before, key) || !Object.hasOwn(after, key)) return false;
  return canonicalJson(before[key]) === canonicalJson(after[key]);
}

/** Freezes a value and all that is in it, so that no part of a program changes what another one reads. */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) frozen(member);
  return Object.freeze(value);
}
