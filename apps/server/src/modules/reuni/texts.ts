import { isVisibleSecret } from '@gatehouse/configuration';
import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { toVisible, type Version } from '../configuration/index.ts';

/**
 * The original knows texts only. Other values are shown as their JSON, a secret as the JSON of its fingerprint; and what
 * comes back unchanged is not the text but the value it stands for.
 */
function textOfValue(value: JsonValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** A version as the original shows it: a text for each key. */
export function textsOf(version: Pick<Version, 'effective'>): Record<string, string> {
  const entries = Object.entries(toVisible(version.effective));
  return Object.fromEntries(entries.map(([key, value]) => [key, textOfValue(value)]));
}

/** True when a configuration holds what only an enrolled agent may get. */
export function hasSecrets(version: Pick<Version, 'effective'>): boolean {
  return Object.values(toVisible(version.effective)).some(isVisibleSecret);
}

/**
 * What to write for texts that were edited on top of `base`. A text that is still the one shown keeps its value: its
 * type, its secret, its reference; one that was inherited stays inherited.
 */
export function configurationOf(texts: ReadonlyMap<string, string>, base: Version | undefined): JsonObject {
  const shown = new Map(Object.entries(base ? textsOf(base) : {}));
  const own = new Map(Object.entries(base ? toVisible(base.own) : {}));
  const kept = (key: string, text: string): [string, JsonValue][] => {
    if (shown.get(key) !== text) return [[key, text]];
    const value = own.get(key);
    return value === undefined ? [] : [[key, value]];
  };
  return Object.fromEntries([...texts].flatMap(([key, text]) => kept(key, text)));
}

/** What was deleted, created and changed from one version to another, as the original shows it. */
export function differenceOf(before: Version, after: Version): [JsonObject, JsonObject, JsonObject] {
  const [old, now] = [new Map(Object.entries(textsOf(before))), new Map(Object.entries(textsOf(after)))];
  const without = (one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>) =>
    Object.fromEntries([...one].filter(([key]) => !other.has(key)));
  const changed = [...now].flatMap(([key, text]): [string, string][] => {
    const was = old.get(key);
    return was === undefined || was === text ? [] : [[key, `from '${was}' to '${text}'`]];
  });
  return [without(old, now), without(now, old), Object.fromEntries(changed)];
}
