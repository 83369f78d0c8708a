import { CryptoError } from './errors.ts';

/** A JSON value (RFC 8259). */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Bounds for `parseJsonStrict`. */
export interface ParseJsonOptions {
  /** Deepest nesting of arrays and objects; a bare scalar has depth 0. Default 32. */
  readonly maxDepth?: number;
  /** Most bytes of UTF-8 input. Default 1 MiB. */
  readonly maxBytes?: number;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Parses JSON as I-JSON asks (RFC 7493): well-formed UTF-8 without byte order mark, no duplicate
 * keys, no lone surrogates, no number outside the range of a double, bounded size and depth.
 * Two readers of the same text therefore cannot see two different objects.
 */
export function parseJsonStrict(input: string | Uint8Array, options: ParseJsonOptions = {}): JsonValue {
  const { maxDepth = 32, maxBytes = 1_048_576 } = options;
  const byteLength = typeof input === 'string' ? utf8LengthUpTo(input, maxBytes) : input.byteLength;
  if (byteLength > maxBytes) {
    throw new CryptoError('crypto.too_large', { message: `The JSON text is larger than ${maxBytes} bytes.` });
  }
  let text: string;
  let value: JsonValue;
  try {
    text = typeof input === 'string' ? input : decoder.decode(input);
    value = JSON.parse(text) as JsonValue;
  } catch {
    // The engine's message quotes the text, which may be a secret: it is not passed on.
    throw new CryptoError('crypto.invalid_json', { message: 'The text is not well-formed JSON in UTF-8.' });
  }
  const members = countMembers(value, maxDepth);
  if (members !== countColons(text)) {
    throw new CryptoError('crypto.invalid_json', { message: 'An object has the same key twice.' });
  }
  return value;
}

/** As `parseJsonStrict`, and the value must be an object. */
export function parseJsonObjectStrict(input: string | Uint8Array, options: ParseJsonOptions = {}): JsonObject {
  const value = parseJsonStrict(input, options);
  if (!isJsonObject(value)) {
    throw new CryptoError('crypto.invalid_json', { message: 'The JSON text is not an object.' });
  }
  return value;
}

/** True for JSON objects: not null, not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** UTF-8 length without encoding when the answer is already clear from the UTF-16 length. */
function utf8LengthUpTo(text: string, maxBytes: number): number {
  if (text.length > maxBytes) return text.length;
  if (text.length * 3 <= maxBytes) return text.length;
  return Buffer.byteLength(text, 'utf8');
}

/** Counts the members of all objects and checks depth, numbers and strings on the way. */
function countMembers(root: JsonValue, maxDepth: number): number {
  let count = 0;
  const stack: { value: JsonValue; depth: number }[] = [{ value: root, depth: 1 }];
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { value, depth } = item;
    if (typeof value === 'string') assertWellFormed(value);
    else if (typeof value === 'number') assertFinite(value);
    else if (typeof value === 'object' && value !== null) {
      if (depth > maxDepth) {
        throw new CryptoError('crypto.invalid_json', {
          message: `The JSON text nests deeper than ${maxDepth} levels.`,
        });
      }
      if (Array.isArray(value)) {
        for (const element of value as readonly JsonValue[]) stack.push({ value: element, depth: depth + 1 });
      } else {
        for (const [key, member] of Object.entries(value)) {
          assertWellFormed(key);
          count += 1;
          stack.push({ value: member, depth: depth + 1 });
        }
      }
    }
  }
  return count;
}

function assertWellFormed(text: string): void {
  if (!text.isWellFormed()) {
    throw new CryptoError('crypto.invalid_json', { message: 'A string has a lone surrogate (RFC 7493 §2.1).' });
  }
}

function assertFinite(value: number): void {
  if (!Number.isFinite(value)) {
    throw new CryptoError('crypto.invalid_json', {
      message: 'A number is outside the range of a double (RFC 7493 §2.2).',
    });
  }
}

/**
 * Counts the colons outside strings: the number of members written in the text. `JSON.parse` keeps
 * only the last of two equal keys, so fewer members in the value than in the text means a duplicate.
 * The text is known to be well-formed JSON.
 */
function countColons(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit === 0x3a) count += 1;
    else if (unit === 0x22) {
      for (i += 1; text.charCodeAt(i) !== 0x22; i += 1) if (text.charCodeAt(i) === 0x5c) i += 1;
    }
  }
  return count;
}
