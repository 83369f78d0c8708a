import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { canonicalJsonBytes, isJsonObject } from '@gatehouse/crypto';
import { ConfigurationError, type ConfigurationProblem } from './errors.ts';

/** What a configuration may hold at most. */
export const limits = {
  keys: 2000,
  keyCharacters: 256,
  /** Of its canonical JSON (RFC 8785), UTF-8. */
  bytes: 512 * 1024,
} as const;

/** A secret as everybody sees it. Equal fingerprints are the same written secret; they tell nothing of its value. */
export interface VisibleSecret {
  readonly $secret: { readonly fingerprint: string };
}

/** A configuration as it is shown: secrets by fingerprint, references resolved or as they were written. */
export type VisibleConfiguration = Readonly<Record<string, JsonValue>>;

/** A public key that Gatehouse owns: of a keyring, as PEM of the key in use or as JWK set of all that are accepted. */
export interface KeyReference {
  readonly keyring: string;
  readonly format: 'pem' | 'jwks';
}

/** A value as it is written: itself, a new secret, the secret that is there already, or something Gatehouse owns. */
export type WrittenValue =
  | { readonly kind: 'plain'; readonly value: JsonValue }
  | { readonly kind: 'secret'; readonly value: JsonValue }
  | { readonly kind: 'keep'; readonly fingerprint: string }
  | { readonly kind: 'key'; readonly reference: KeyReference }
  | { readonly kind: 'client'; readonly what: 'id' | 'secret' };

/** A configuration as it is written, key by key. */
export type WrittenConfiguration = ReadonlyMap<string, WrittenValue>;

/** True for a secret as it is shown. */
export function isVisibleSecret(value: JsonValue | undefined): value is JsonObject & VisibleSecret {
  return (
    value !== undefined &&
    isJsonObject(value) &&
    Object.keys(value).length === 1 &&
    isFingerprintObject((value as JsonObject)['$secret'])
  );
}

/**
 * Reads a configuration as it is written; throws {@link ConfigurationError} with everything that is wrong.
 * `{"$secret": …}`, `{"$key": …}` and `{"$client": …}` are markers at the first level; a secret as it was shown means
 * that the present one stays. Deeper down nothing may look like a marker, so that none is overlooked.
 */
export function parseWritten(configuration: JsonObject, field = 'configuration'): WrittenConfiguration {
  const problems: ConfigurationProblem[] = [];
  const entries = Object.entries(configuration).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined);
  if (entries.length > limits.keys) {
    problems.push({ field, rule: `has ${entries.length} keys; at most ${limits.keys} are accepted`, fix: 'split it' });
  }
  const written = new Map<string, WrittenValue>();
  for (const [key, value] of entries) {
    const path = `${field}.${printable(key)}`;
    const keyRule = keyProblem(key);
    if (keyRule) problems.push({ field: path, rule: keyRule, fix: 'rename the key' });
    const parsed = parseValue(value, path, problems);
    if (parsed) written.set(key, parsed);
  }
  if (problems.length > 0) throw new ConfigurationError(problems.slice(0, 50));
  const bytes = canonicalJsonBytes(configuration).byteLength;
  if (bytes > limits.bytes) {
    throw new ConfigurationError([
      { field, rule: `is ${bytes} bytes of JSON; at most ${limits.bytes} are accepted`, fix: 'split it' },
    ]);
  }
  return written;
}

function keyProblem(key: string): string | undefined {
  if (key === '') return 'is empty';
  if (Array.from(key).length > limits.keyCharacters) return `is longer than ${limits.keyCharacters} characters`;
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(key)) return 'has control characters';
  if (key.startsWith('$')) return 'begins with $, which is kept for markers';
  if (key === '__proto__') return 'is a name that JavaScript keeps for itself';
  return undefined;
}

function parseValue(value: JsonValue, path: string, problems: ConfigurationProblem[]): WrittenValue | undefined {
  const marker = isJsonObject(value) ? Object.keys(value).find((name) => name.startsWith('$')) : undefined;
  if (marker === undefined) {
    problems.push(...valueProblems(value, path));
    return { kind: 'plain', value };
  }
  if (Object.keys(value as JsonObject).length > 1) {
    problems.push({ field: path, rule: `has other members beside ${marker}`, fix: 'leave the marker alone' });
    return undefined;
  }
  const content = (value as JsonObject)[marker] ?? null;
  switch (marker) {
    case '$secret':
      if (isFingerprintObject(content)) return { kind: 'keep', fingerprint: content.fingerprint };
      problems.push(...valueProblems(content, path));
      return { kind: 'secret', value: content };
    case '$key':
      return parseKey(content, path, problems);
    case '$client':
      if (content === 'id' || content === 'secret') return { kind: 'client', what: content };
      problems.push({ field: path, rule: 'has a $client that is not known', fix: 'use "id" or "secret"' });
      return undefined;
    default:
      problems.push({
        field: path,
        rule: `has the marker ${printable(marker)}, which is not known`,
        fix: 'use $secret, $key or $client; other members may not begin with $',
      });
      return undefined;
  }
}

function parseKey(content: JsonValue, path: string, problems: ConfigurationProblem[]): WrittenValue | undefined {
  const form = typeof content === 'string' ? { keyring: content } : isJsonObject(content) ? content : {};
  const { keyring, format = 'pem', ...more } = form as Record<string, JsonValue>;
  const isName = typeof keyring === 'string' && /^[a-z0-9][a-z0-9_-]{0,62}$/.test(keyring);
  if (!isName || (format !== 'pem' && format !== 'jwks') || Object.keys(more).length > 0) {
    problems.push({
      field: path,
      rule: 'has a $key that is not understood',
      fix: 'use {"$key": "<keyring>"} or {"$key": {"keyring": "<keyring>", "format": "pem" or "jwks"}}',
    });
    return undefined;
  }
  return { kind: 'key', reference: { keyring, format } };
}

/**
 * Deeper down a marker would be taken for a value, and a secret be stored and shown as it is. And U+0000 fits neither
 * an environment variable nor PostgreSQL.
 */
function valueProblems(value: JsonValue, path: string): ConfigurationProblem[] {
  if (typeof value === 'string' && value.includes('\u0000')) {
    return [{ field: path, rule: 'has the character U+0000', fix: 'remove it; write binary data in base64' }];
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => valueProblems(item as JsonValue, `${path}.${index}`));
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    name.startsWith('$')
      ? [
          {
            field: `${path}.${printable(name)}`,
            rule: 'is a marker inside a value',
            fix: 'markers stand at the first level: make it a key of its own, or the whole value a secret',
          },
        ]
      : valueProblems(member as JsonValue, `${path}.${printable(name)}`),
  );
}

function isFingerprintObject(value: JsonValue | undefined): value is JsonObject & { readonly fingerprint: string } {
  if (value === undefined || !isJsonObject(value) || Object.keys(value).length !== 1) return false;
  const { fingerprint } = value as JsonObject;
  return typeof fingerprint === 'string' && /^[A-Za-z0-9_-]{16}$/.test(fingerprint);
}

/** A name for a message: bounded, and without what could forge a line of a log. */
function printable(name: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return name.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?').slice(0, 80);
}
