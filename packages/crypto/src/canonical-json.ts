import { CryptoError } from './errors.ts';

const encoder = new TextEncoder();
const maxDepth = 128;

/**
 * Canonical JSON of a value after RFC 8785 (JCS): keys sorted by UTF-16 code units, no whitespace,
 * numbers and strings as ECMAScript writes them. `-0` becomes `0`. Whatever has no single JSON form
 * is refused: NaN, infinities, bigint, undefined, functions, lone surrogates, sparse arrays, objects
 * that are not plain (Date, Map, class instances) and nesting deeper than 128.
 *
 * @example canonicalJson({ b: 1e21, a: -0 }) // '{"a":0,"b":1e+21}'
 */
export function canonicalJson(value: unknown): string {
  return write(value, 0, '$');
}

/** The UTF-8 bytes of `canonicalJson`: what is hashed, signed or bound as associated data. */
export function canonicalJsonBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(canonicalJson(value));
}

function write(value: unknown, depth: number, path: string): string {
  switch (typeof value) {
    case 'string':
      return writeString(value, path);
    case 'number':
      if (!Number.isFinite(value)) throw refused(path, 'is not a finite number');
      // RFC 8785 §3.2.2.3 is ECMAScript's own Number-to-string, which also writes -0 as 0.
      return String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      break;
    default:
      throw refused(path, `is of type ${typeof value}, which JSON does not have`);
  }
  if (value === null) return 'null';
  if (depth >= maxDepth) throw refused(path, `nests deeper than ${maxDepth} levels (or refers to itself)`);
  return Array.isArray(value) ? writeArray(value, depth, path) : writeObject(value, depth, path);
}

function writeArray(value: readonly unknown[], depth: number, path: string): string {
  const parts: string[] = [];
  for (let i = 0; i < value.length; i += 1) {
    if (!(i in value)) throw refused(`${path}[${i}]`, 'is a hole in an array');
    parts.push(write(value[i], depth + 1, `${path}[${i}]`));
  }
  return `[${parts.join(',')}]`;
}

function writeObject(value: object, depth: number, path: string): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) throw refused(path, 'is not a plain object');
  if (Object.getOwnPropertySymbols(value).length > 0) throw refused(path, 'has a symbol for a key');
  // The default sort compares UTF-16 code units, as RFC 8785 §3.2.3 asks.
  const parts = Object.keys(value)
    .sort()
    .map((key) => {
      const member: unknown = (value as Record<string, unknown>)[key];
      return `${writeString(key, path)}:${write(member, depth + 1, `${path}.${key}`)}`;
    });
  return `{${parts.join(',')}}`;
}

function writeString(value: string, path: string): string {
  if (!value.isWellFormed()) throw refused(path, 'has a lone surrogate');
  // JSON.stringify escapes exactly what RFC 8785 §3.2.2.2 escapes once lone surrogates are out.
  return JSON.stringify(value);
}

function refused(path: string, rule: string): CryptoError {
  return new CryptoError('crypto.not_canonicalizable', { field: path, message: `${path} ${rule}.` });
}
