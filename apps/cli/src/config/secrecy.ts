import { isVisibleSecret } from '@gatehouse/configuration';
import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { usageError } from '../errors.ts';
import { oneLine } from '../values.ts';

/** Ends of the words that names of secrets have: PGPASSWORD, apiToken. */
const secretWord = /^(?:pass|dsn|.*(?:password|passwd|passphrase|pwd|secrets?|token|credentials?|apikey))$/i;
/** Values that hold a secret whatever they are called: an address with a password in it, a private key. */
const secretValue = /:\/\/[^/\s:@]*:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----/;

/** Which keys of a file are secrets. */
export interface SecrecyOptions {
  /** Keys that become secrets; `*` stands for any characters. */
  secret?: string[];
  /** Keys that are readable although they are secrets now, or look like some; `*` stands for any characters. */
  plain?: string[];
}

/**
 * The configuration with its secrets marked: what is one already stays one, what `--secret` names becomes one. A new key
 * that is looks like a secret, and was not said to be one or not, is refused: what is published once stays readable in
 * the history.
 */
export function withSecrets(configuration: JsonObject, own: JsonObject, options: SecrecyOptions): JsonObject {
  const isSecret = matcher(options.secret ?? [], configuration, '--secret');
  const isPlain = matcher(options.plain ?? [], configuration, '--plain');
  const doubtful: string[] = [];
  const marked = Object.entries(configuration).map(([key, value]): [string, JsonValue | undefined] => {
    if (value === undefined || isMarker(value)) return [key, value];
    if (isSecret(key)) return [key, { $secret: value }];
    if (isPlain(key)) return [key, value];
    const before = Object.hasOwn(own, key) ? own[key] : undefined;
    if (isVisibleSecret(before)) return [key, { $secret: value }];
    if (before === undefined && looksSecret(key, value)) doubtful.push(key);
    return [key, value];
  });
  if (doubtful.length > 0) throw doubtfulError(doubtful);
  return Object.fromEntries(marked);
}

/** The configuration with what is a secret in `own` and was given a new value marked as one. */
export function keepSecrets(configuration: JsonObject, own: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(configuration).map(([key, value]) =>
      value !== undefined && !isMarker(value) && Object.hasOwn(own, key) && isVisibleSecret(own[key])
        ? [key, { $secret: value }]
        : [key, value],
    ),
  );
}

/** The new keys that would be readable and look like secrets. */
export function doubtfulKeys(configuration: JsonObject, own: JsonObject): string[] {
  return Object.entries(configuration).flatMap(([key, value]) =>
    value !== undefined && !isMarker(value) && !Object.hasOwn(own, key) && looksSecret(key, value) ? [key] : [],
  );
}

function looksSecret(key: string, value: JsonValue): boolean {
  if (typeof value !== 'string' || value === '') return false;
  const words = key.split(/[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])/).map((word) => word.toLowerCase());
  const isKey = words.at(-1) === 'key' && !words.includes('public');
  return isKey || words.some((word) => secretWord.test(word)) || secretValue.test(value);
}

function doubtfulError(keys: readonly string[]) {
  const shown = keys.slice(0, 10).map((key) => oneLine(key));
  const more = keys.length > shown.length ? ` and ${keys.length - shown.length} more` : '';
  return usageError(
    `${keys.length === 1 ? 'This key looks like a secret' : 'These keys look like secrets'}, and would be readable in the history for good: ${shown.join(', ')}${more}.`,
    `add ${shown.map((key) => `--secret ${key}`).join(' ')}, or --plain <key> for what is none; * stands for any characters`,
  );
}

/** True for `$secret`, `$key` and `$client`: the writer has said what it is. */
function isMarker(value: JsonValue): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).some((name) => name.startsWith('$'));
}

/** True for the keys that a pattern names; a pattern that names none is a mistake. */
function matcher(patterns: readonly string[], configuration: JsonObject, option: string): (key: string) => boolean {
  const keys = Object.keys(configuration);
  const named = new Set<string>();
  for (const pattern of patterns) {
    const parts = pattern.split('*');
    const found = keys.filter((key) => matches(key, parts));
    if (found.length === 0) throw usageError(`${option} ${pattern} names no key of the file.`, 'check its spelling');
    for (const key of found) named.add(key);
  }
  return (key) => named.has(key);
}

/** Compares with the parts between the stars, from left to right: no pattern takes long. */
function matches(key: string, parts: readonly string[]): boolean {
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return key === first;
  if (!key.startsWith(first) || !key.endsWith(last) || key.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of rest) {
    const found = key.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= key.length - last.length;
}
