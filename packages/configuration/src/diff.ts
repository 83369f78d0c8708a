import type { JsonValue } from '@gatehouse/contracts';
import { canonicalJson } from '@gatehouse/crypto';
import type { VisibleConfiguration } from './values.ts';

/** What became of keys between two configurations. Secrets stand by their fingerprints. */
export interface ConfigurationChange {
  readonly created: Readonly<Record<string, JsonValue>>;
  readonly changed: Readonly<Record<string, { readonly from: JsonValue; readonly to: JsonValue }>>;
  readonly deleted: Readonly<Record<string, JsonValue>>;
}

/** Compares two configurations key by key; values are equal when their canonical JSON is (RFC 8785). */
export function diffConfigurations(from: VisibleConfiguration, to: VisibleConfiguration): ConfigurationChange {
  const created: Record<string, JsonValue> = {};
  const changed: Record<string, { from: JsonValue; to: JsonValue }> = {};
  const deleted: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(to)) {
    const before = Object.hasOwn(from, key) ? from[key] : undefined;
    if (before === undefined) created[key] = value;
    else if (canonicalJson(before) !== canonicalJson(value)) changed[key] = { from: before, to: value };
  }
  for (const [key, value] of Object.entries(from)) if (!Object.hasOwn(to, key)) deleted[key] = value;
  return { created, changed, deleted };
}
