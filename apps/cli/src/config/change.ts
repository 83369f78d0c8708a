import { type ConfigurationChange, diffConfigurations } from '@gatehouse/configuration';
import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { ServerRefusal } from '../errors.ts';

/** What a command does to a configuration: nothing is said of keys that are not named. */
export interface Change {
  readonly set: Readonly<Record<string, JsonValue>>;
  readonly unset: readonly string[];
}

/** The configuration after the change. */
export function applyChange(own: JsonObject, { set, unset }: Change): JsonObject {
  const gone = new Set(unset);
  return Object.fromEntries([...Object.entries(own).filter(([key]) => !gone.has(key)), ...Object.entries(set)]);
}

/** The change that makes `to` of `from`. */
export function changeBetween(from: JsonObject, to: JsonObject): Change {
  const { created, changed, deleted } = diff(from, to);
  const set = {
    ...created,
    ...Object.fromEntries(Object.entries(changed).map(([key, { to: value }]) => [key, value])),
  };
  return { set, unset: Object.keys(deleted) };
}

/** The keys of the change that are different in the two configurations: there the change may not be what was meant. */
export function touchedKeys(change: Change, before: JsonObject, now: JsonObject): string[] {
  const { created, changed, deleted } = diff(before, now);
  const others = new Set([created, changed, deleted].flatMap((part) => Object.keys(part)));
  return [...Object.keys(change.set), ...change.unset].filter((key) => others.has(key));
}

/** {@link diffConfigurations} of configurations that came as JSON. */
export function diff(from: JsonObject, to: JsonObject): ConfigurationChange {
  return diffConfigurations(from as Record<string, JsonValue>, to as Record<string, JsonValue>);
}

/** The newest version when the refusal says that another writer was faster. */
export function conflictOf(error: unknown): { latestVersion: number } | undefined {
  if (!(error instanceof ServerRefusal) || error.serverCode !== 'configuration.version_conflict') return undefined;
  return { latestVersion: Number(error.problem['latest_version']) };
}
