/** What the compact serializations of JWS and JWE share. */
import { decodeBase64Url } from './base64url.ts';
import { CryptoError, type CryptoErrorCode } from './errors.ts';
import { type JsonObject, parseJsonObjectStrict } from './json.ts';

/**
 * The protected header of a token: the members every door checks, and the rest as they came. An intersection, because
 * an interface would not compile for users of the SDK without `exactOptionalPropertyTypes`.
 */
export type TokenHeader = JsonObject & {
  readonly alg: string;
  readonly enc?: string;
  readonly kid?: string;
  readonly typ?: string;
  readonly cty?: string;
};

/** What a caller expects of the header. */
export interface HeaderExpectations {
  /** The accepted `typ`, compared as media types (RFC 7515 §4.1.9). Absent: any `typ` passes. */
  readonly typ?: string | readonly string[];
  /** The expected `cty`. Absent: any but a nested token (`JWT`) passes. */
  readonly cty?: string;
}

const maxHeaderBytes = 16_384;

/** Splits a compact token into exactly `count` parts; bounded before anything is decoded. */
export function splitCompact(token: unknown, count: number, maxBytes: number, code: CryptoErrorCode): string[] {
  if (typeof token !== 'string')
    throw new CryptoError(code, { message: 'The token is a string in compact serialization.' });
  if (token.length > maxBytes) {
    throw new CryptoError('crypto.too_large', { message: `The token is larger than ${maxBytes} bytes.` });
  }
  const parts = token.split('.', count + 1);
  if (parts.length !== count) {
    throw new CryptoError(code, { message: `A compact token of this kind has exactly ${count} parts.` });
  }
  return parts;
}

/**
 * Decodes and checks a protected header: a JSON object without duplicate keys, `alg` and, if there,
 * `kid`, `typ`, `cty` strings, no `crit` (no extension is known here), no `b64: false`, no nesting
 * that the caller did not ask for. `jku`, `x5u`, `x5c`, `jwk` are never looked at.
 */
export function parseHeader(part: string, expected: HeaderExpectations, code: CryptoErrorCode): TokenHeader {
  if (part.length > maxHeaderBytes)
    throw new CryptoError(code, { field: 'header', message: 'The header is too large.' });
  let header: JsonObject;
  try {
    header = parseJsonObjectStrict(decodeBase64Url(part, 'header'), { maxBytes: maxHeaderBytes, maxDepth: 8 });
  } catch (cause) {
    throw new CryptoError(code, {
      field: 'header',
      message: 'The header is not a strict JSON object in strict base64url.',
      cause,
    });
  }
  for (const name of ['alg', 'kid', 'typ', 'cty', 'enc'] as const) {
    const value = Object.hasOwn(header, name) ? header[name] : undefined;
    if (value === undefined ? name === 'alg' : typeof value !== 'string') {
      throw new CryptoError(code, { field: name, message: `The header parameter ${name} is a string.` });
    }
  }
  if (Object.hasOwn(header, 'crit')) {
    throw new CryptoError(code, { field: 'crit', message: 'The header has crit; no extension is understood here.' });
  }
  if (Object.hasOwn(header, 'b64') && header.b64 !== true) {
    throw new CryptoError(code, { field: 'b64', message: 'Unencoded payloads (RFC 7797) are not accepted.' });
  }
  if (Object.hasOwn(header, 'zip')) {
    throw new CryptoError(code, { field: 'zip', message: 'Compressed content is not accepted.' });
  }
  assertTyp(header.typ, expected.typ, code);
  assertCty(header.cty, expected.cty, code);
  return header as TokenHeader;
}

function assertTyp(typ: unknown, expected: string | readonly string[] | undefined, code: CryptoErrorCode): void {
  if (expected === undefined) return;
  const accepted = (typeof expected === 'string' ? [expected] : expected).map(mediaType);
  if (typeof typ !== 'string' || !accepted.includes(mediaType(typ))) {
    throw new CryptoError(code, { field: 'typ', message: `The header parameter typ is not ${accepted.join(' or ')}.` });
  }
}

function assertCty(cty: unknown, expected: string | undefined, code: CryptoErrorCode): void {
  if (expected === undefined) {
    if (typeof cty === 'string' && ['jwt', 'jose', 'jose+json'].includes(mediaType(cty))) {
      throw new CryptoError(code, { field: 'cty', message: 'A nested token is not accepted here.' });
    }
  } else if (typeof cty !== 'string' || mediaType(cty) !== mediaType(expected)) {
    throw new CryptoError(code, { field: 'cty', message: `The header parameter cty is not ${mediaType(expected)}.` });
  }
}

/** Media types compare without case, and `application/` may be left out (RFC 7515 §4.1.9). */
function mediaType(value: string): string {
  const lower = value.toLowerCase();
  return lower.startsWith('application/') && !lower.slice(12).includes('/') ? lower.slice(12) : lower;
}
