import { type ConfigurationChange, isVisibleSecret } from '@gatehouse/configuration';
import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import type { Output } from '../output.ts';
import { oneLine } from '../values.ts';

/** Longest value that is shown whole in a table or a difference, characters. */
const maxShown = 200;

/**
 * A value for people, on one line: a text as it is unless it could be taken for something else, then in quotes; a secret
 * as the begin of its fingerprint; anything else as JSON.
 */
export function valueText(value: JsonValue | undefined): string {
  if (value === undefined) return '';
  if (isVisibleSecret(value)) return `secret ${value.$secret.fingerprint.slice(0, 6)}…`;
  const text = typeof value === 'string' && isPlain(value) ? value : JSON.stringify(value);
  return oneLine(text.length > maxShown ? `${text.slice(0, maxShown)}…` : text);
}

/** True for a text that nobody takes for a number, a word of JSON, or for nothing. */
function isPlain(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (text === '' || text !== text.trim() || /[\u0000-\u001f\u007f-\u009f]/.test(text)) return false;
  return !/^(?:true|false|null|secret .*|[-+]?\.?\d+\.?\d*(?:[eE][-+]?\d+)?|["{[].*)$/.test(text);
}

/** What changed, a line a key, sorted by key. */
export function changeLines(change: ConfigurationChange, paint: Output['paint']): string[] {
  const lines = [
    ...Object.entries(change.created).map(([key, value]) => ({ key, text: created(key, value, paint) })),
    ...Object.entries(change.changed).map(([key, { from, to }]) => ({ key, text: changed(key, from, to, paint) })),
    ...Object.entries(change.deleted).map(([key, value]) => ({ key, text: deleted(key, value, paint) })),
  ];
  return lines.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ text }) => text);
}

/** How many keys changed in all. */
export function changeCount({ created: more, changed: other, deleted: less }: ConfigurationChange): number {
  return Object.keys(more).length + Object.keys(other).length + Object.keys(less).length;
}

const created = (key: string, value: JsonValue, paint: Output['paint']) =>
  paint('add', `+ ${oneLine(key)}=${masked(value)}`);
const deleted = (key: string, value: JsonValue, paint: Output['paint']) =>
  paint('remove', `- ${oneLine(key)}=${masked(value)}`);
const changed = (key: string, from: JsonValue, to: JsonValue, paint: Output['paint']) =>
  paint('change', `~ ${oneLine(key)}: ${masked(from)} → ${masked(to)}`);

/** A secret that is about to be written is not repeated on the screen. */
function masked(value: JsonValue): string {
  return isNewSecret(value) ? 'a new secret' : valueText(value);
}

/** True for a secret on its way to the server. */
export function isNewSecret(value: JsonValue | undefined): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.hasOwn(value, '$secret') &&
    !isVisibleSecret(value)
  );
}

/** A difference for `--json`: new secrets are not repeated. */
export function maskedChange({ created: more, changed: other, deleted: less }: ConfigurationChange): JsonObject {
  const hide = (value: JsonValue): JsonValue => (isNewSecret(value) ? { $secret: null } : value);
  return {
    created: Object.fromEntries(Object.entries(more).map(([key, value]) => [key, hide(value)])),
    changed: Object.fromEntries(Object.entries(other).map(([key, { from, to }]) => [key, { from, to: hide(to) }])),
    deleted: less,
  };
}
