import { isVisibleSecret, type ParsedConfiguration } from '@gatehouse/configuration';
import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { usageError } from '../errors.ts';
import { oneLine } from '../values.ts';
import type { Change } from './change.ts';
import type { Present } from './remote.ts';
import { isNewSecret } from './value-text.ts';

/** Names that secrets usually have. */
const secretName =
  /pass(word|wd|phrase)?\b|passw|secret|token|credential|private|api_?key|access_?key|signing_?key|auth_?key|_key$|^key$|_pass$|_pwd$|dsn$|connection_?string/i;

/** How an import treats what the file says. */
export interface ImportOptions {
  /** Keys that become secrets; `*` stands for any characters. */
  secret?: string[];
  /** Keys that stay readable although they are named like secrets; `*` stands for any characters. */
  plain?: string[];
  /** Keys that the file does not have are deleted. */
  replace?: boolean;
}

/**
 * The change that an import makes. A key that is a secret stays one. A new key that is named like a secret, and was not
 * said to be one or not, stops the import: what is published once stays readable in the history.
 */
export function importChange(parsed: ParsedConfiguration, present: Present, options: ImportOptions): Change {
  const { secret = [], plain = [], replace = false } = options;
  const isSecret = matcher(secret, parsed, '--secret');
  const isPlain = matcher(plain, parsed, '--plain');
  const set: Record<string, JsonValue> = {};
  const doubtful: string[] = [];
  for (const [key, value] of Object.entries(parsed.configuration) as [string, JsonValue][]) {
    const before = Object.hasOwn(present.own, key) ? present.own[key] : undefined;
    const isMarker = isNewSecret(value) || isVisibleSecret(value) || isReference(value);
    if (isMarker) set[key] = value;
    else if (isSecret(key) || (isVisibleSecret(before) && !isPlain(key))) set[key] = { $secret: value };
    else {
      if (secretName.test(key) && !isPlain(key) && before === undefined && value !== '') doubtful.push(key);
      set[key] = value;
    }
  }
  if (doubtful.length > 0) throw doubtfulError(doubtful);
  const unset = replace ? Object.keys(present.own).filter((key) => !Object.hasOwn(parsed.configuration, key)) : [];
  return { set, unset };
}

function doubtfulError(keys: readonly string[]) {
  const shown = keys.slice(0, 10).map((key) => oneLine(key));
  const more = keys.length > shown.length ? ` and ${keys.length - shown.length} more` : '';
  return usageError(
    `${keys.length === 1 ? 'This key is' : 'These keys are'} named like a secret, and would be readable in the history for good: ${shown.join(', ')}${more}.`,
    `add ${shown.map((key) => `--secret ${key}`).join(' ')}, or --plain <key> for what is none; * stands for any characters`,
  );
}

function isReference(value: JsonValue): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).some((name) => name.startsWith('$'));
}

/** True for the keys that a pattern names; a pattern that names none is a mistake. */
function matcher(patterns: readonly string[], { configuration }: { configuration: JsonObject }, option: string) {
  const keys = Object.keys(configuration);
  const named = new Set<string>();
  for (const pattern of patterns) {
    const parts = pattern.split('*');
    const found = keys.filter((key) => matches(key, parts));
    if (found.length === 0) throw usageError(`${option} ${pattern} names no key of the file.`, 'check its spelling');
    for (const key of found) named.add(key);
  }
  return (key: string): boolean => named.has(key);
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
