/**
 * Judges keys that others made. A JWK that passes is well formed, public, strong enough for its use,
 * and written in its one canonical spelling. Arithmetic on public numbers only, so BigInt is fine.
 */
import { tryDecodeBase64Url } from './base64url.ts';
import { bitLength, bytesToBigInt } from './bytes.ts';
import { isOnNistCurve, judgeEd25519Point, judgeX25519Point, nistCoordinateBytes } from './curve-points.ts';
import { CryptoError } from './errors.ts';
import { isJsonObject, parseJsonStrict } from './json.ts';
import { type KeyUse, type PublicJwk, privateMembers } from './jwk.ts';
import { judgeRsaModulus } from './rsa-modulus.ts';

/** What the caller wants the key for. */
export interface JudgeOptions {
  readonly use: KeyUse;
  /** If given, the key must be usable with exactly this algorithm. */
  readonly alg?: string;
}

/** A key that passed. */
export interface JudgedKey {
  /** Frozen; only known public members. */
  readonly jwk: PublicJwk;
  readonly kid: string | undefined;
  readonly use: KeyUse;
  /** RSA modulus bits or curve bits. */
  readonly sizeBits: number;
  /** Algorithms the key can be used with: the one it names, or all of its kind. */
  readonly algorithms: readonly string[];
}

const judged = new WeakMap<PublicJwk, JudgedKey>();

/** The verdict on a `jwk` object that `judgePublicJwk` gave out (it is frozen, so still true). */
export function judgedKeyOf(jwk: PublicJwk): JudgedKey | undefined {
  return judged.get(jwk);
}

/**
 * Judges one public JWK: RSA 2048 to 8192 bits without known weaknesses, EC points on P-256, P-384
 * or P-521, Ed25519 and X25519 points of full order; no private members; `use`, `key_ops` and `alg`
 * agree with each other and with what the caller wants.
 *
 * @throws CryptoError `crypto.invalid_key`, `crypto.weak_key`, `crypto.private_key_exposed`
 * @example const { jwk } = judgePublicJwk(foreign, { use: 'enc' });
 */
export function judgePublicJwk(jwk: unknown, options: JudgeOptions): JudgedKey {
  if (!isJsonObject(jwk)) throw invalid('jwk', 'A JWK is a JSON object.');
  for (const member of privateMembers) {
    if (Object.hasOwn(jwk, member)) {
      throw new CryptoError('crypto.private_key_exposed', {
        field: member,
        message: `The key carries the private member "${member}". Publish the public part only, and replace this key.`,
      });
    }
  }
  const { kty } = jwk;
  const material =
    kty === 'RSA' ? judgeRsa(jwk) : kty === 'EC' ? judgeEc(jwk) : kty === 'OKP' ? judgeOkp(jwk) : undefined;
  if (material === undefined) throw invalid('kty', 'kty is "RSA", "EC" or "OKP"; symmetric keys are not public.');
  const kid = optionalString(jwk.kid, 'kid');
  const possible = options.use === 'sig' ? material.signatureAlgorithms : material.encryptionAlgorithms;
  if (possible.length === 0) throw invalid('kty', `This kind of key cannot be used for "${options.use}".`);
  const use = judgeUse(jwk.use, options.use);
  const keyOps = judgeKeyOps(jwk.key_ops, options.use);
  const alg = optionalString(jwk.alg, 'alg');
  if (alg !== undefined && !possible.includes(alg)) {
    throw invalid('alg', `alg does not fit this key for "${options.use}": it may be ${possible.join(', ')}.`);
  }
  if (options.alg !== undefined && (alg ?? options.alg) !== options.alg) {
    throw invalid('alg', `The key is for ${alg}, not for ${options.alg}.`);
  }
  const algorithms = alg === undefined ? possible : [alg];
  if (options.alg !== undefined && !algorithms.includes(options.alg)) {
    throw invalid('alg', `The key cannot be used with ${options.alg}: only with ${algorithms.join(', ')}.`);
  }
  const publicJwk = Object.freeze({
    ...material.jwk,
    ...(kid === undefined ? {} : { kid }),
    ...(use === undefined ? {} : { use }),
    ...(keyOps === undefined ? {} : { key_ops: keyOps }),
    ...(alg === undefined ? {} : { alg }),
  }) as PublicJwk;
  const verdict = Object.freeze({ jwk: publicJwk, kid, use: options.use, sizeBits: material.sizeBits, algorithms });
  judged.set(publicJwk, verdict);
  return verdict;
}

/** Bounds of a key set. */
export interface JudgeJwksOptions extends JudgeOptions {
  /** Most keys in the set. Default 100. */
  readonly maxKeys?: number;
  /** Most bytes of JSON text. Default 50 KiB. */
  readonly maxBytes?: number;
}

/** The usable keys of a set, and why the others are not. */
export interface JudgedJwks {
  readonly keys: readonly JudgedKey[];
  readonly refused: readonly {
    readonly index: number;
    readonly kid: string | undefined;
    readonly error: CryptoError;
  }[];
}

/**
 * Judges a key set, given as JSON text or as a parsed object. Keys for the other `use` are passed
 * over; keys that fail are listed in `refused` and the rest stay usable (RFC 7517 §5). The set as a
 * whole is refused when it is too large, has more than 100 keys, or has one `kid` twice.
 *
 * @throws CryptoError `crypto.invalid_jwks`, `crypto.too_large`, `crypto.invalid_json`
 */
export function judgeJwks(jwks: unknown, options: JudgeJwksOptions): JudgedJwks {
  const { maxKeys = 100, maxBytes = 51_200 } = options;
  const isText = typeof jwks === 'string' || jwks instanceof Uint8Array;
  const set: unknown = isText ? parseJsonStrict(jwks, { maxBytes, maxDepth: 8 }) : jwks;
  if (!isJsonObject(set) || !Array.isArray(set.keys)) {
    throw invalidSet('keys', 'A key set is an object with an array "keys".');
  }
  const entries = set.keys as readonly unknown[];
  if (entries.length > maxKeys) throw invalidSet('keys', `A key set has at most ${maxKeys} keys.`);
  assertUniqueKids(entries);
  const keys: JudgedKey[] = [];
  const refused: { index: number; kid: string | undefined; error: CryptoError }[] = [];
  for (const [index, entry] of entries.entries()) {
    if (isJsonObject(entry) && isForOtherUse(entry.use, options.use)) continue;
    try {
      keys.push(judgePublicJwk(entry, options));
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      const kid = isJsonObject(entry) && typeof entry.kid === 'string' ? entry.kid : undefined;
      refused.push({ index, kid, error });
    }
  }
  return { keys, refused };
}

function assertUniqueKids(entries: readonly unknown[]): void {
  const seen = new Set<string>();
  for (const entry of entries) {
    if (!isJsonObject(entry) || typeof entry.kid !== 'string') continue;
    if (seen.has(entry.kid)) throw invalidSet('kid', 'Two keys of the set have the same kid.');
    seen.add(entry.kid);
  }
}

function isForOtherUse(use: unknown, wanted: KeyUse): boolean {
  return (use === 'sig' || use === 'enc') && use !== wanted;
}

interface Material {
  readonly jwk: object;
  readonly sizeBits: number;
  readonly signatureAlgorithms: readonly string[];
  readonly encryptionAlgorithms: readonly string[];
}

const ecdhAlgorithms = ['ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A192KW', 'ECDH-ES+A256KW'] as const;

function judgeRsa(jwk: Record<string, unknown>): Material {
  const n = unsignedInteger(jwk.n, 'n');
  const e = unsignedInteger(jwk.e, 'e');
  const sizeBits = bitLength(n);
  if (sizeBits < 2048) throw weak('n', `An RSA modulus has at least 2048 bits; this one has ${sizeBits}.`);
  if (sizeBits > 8192) throw invalid('n', `An RSA modulus has at most 8192 bits; this one has ${sizeBits}.`);
  if (e < 3n || e % 2n === 0n) throw weak('e', 'An RSA public exponent is odd and at least 3; 65537 is usual.');
  if (e > 0xffff_ffffn) throw invalid('e', 'An RSA public exponent has at most 32 bits; 65537 is usual.');
  const weakness = judgeRsaModulus(n);
  if (weakness !== undefined) throw weak('n', weakness);
  return {
    jwk: { kty: 'RSA', n: jwk.n, e: jwk.e },
    sizeBits,
    signatureAlgorithms: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    encryptionAlgorithms: ['RSA-OAEP', 'RSA-OAEP-256'],
  };
}

function judgeEc(jwk: Record<string, unknown>): Material {
  const { crv } = jwk;
  if (crv !== 'P-256' && crv !== 'P-384' && crv !== 'P-521')
    throw invalid('crv', 'crv is "P-256", "P-384" or "P-521".');
  const length = nistCoordinateBytes(crv);
  const x = bytesToBigInt(fixedBytes(jwk.x, 'x', length));
  const y = bytesToBigInt(fixedBytes(jwk.y, 'y', length));
  if (!isOnNistCurve(crv, x, y)) throw weak('x', `The point is not on ${crv}.`);
  return {
    jwk: { kty: 'EC', crv, x: jwk.x, y: jwk.y },
    sizeBits: Number(crv.slice(2)),
    signatureAlgorithms: [{ 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' }[crv]],
    encryptionAlgorithms: ecdhAlgorithms,
  };
}

function judgeOkp(jwk: Record<string, unknown>): Material {
  const { crv } = jwk;
  if (crv !== 'Ed25519' && crv !== 'X25519') throw invalid('crv', 'crv is "Ed25519" or "X25519".');
  const x = fixedBytes(jwk.x, 'x', 32);
  const weakness = crv === 'Ed25519' ? judgeEd25519Point(x) : judgeX25519Point(x);
  if (weakness !== undefined) throw weak('x', weakness);
  return {
    jwk: { kty: 'OKP', crv, x: jwk.x },
    sizeBits: 255,
    signatureAlgorithms: crv === 'Ed25519' ? ['EdDSA', 'Ed25519'] : [],
    encryptionAlgorithms: crv === 'X25519' ? ecdhAlgorithms : [],
  };
}

function judgeUse(use: unknown, wanted: KeyUse): KeyUse | undefined {
  if (use === undefined) return undefined;
  if (use !== 'sig' && use !== 'enc') throw invalid('use', 'use is "sig" or "enc".');
  if (use !== wanted) throw invalid('use', `The key is for "${use}", not for "${wanted}".`);
  return use;
}

/** Operations of public keys for each use (RFC 7517 §4.3). */
const publicOperations = { sig: ['verify'], enc: ['encrypt', 'wrapKey', 'deriveKey', 'deriveBits'] } as const;

function judgeKeyOps(keyOps: unknown, wanted: KeyUse): readonly string[] | undefined {
  if (keyOps === undefined) return undefined;
  const isList = Array.isArray(keyOps) && keyOps.length <= 8 && keyOps.every((op) => typeof op === 'string');
  if (!isList || new Set(keyOps).size !== keyOps.length)
    throw invalid('key_ops', 'key_ops is a list of distinct strings.');
  const operations = keyOps as readonly string[];
  if (!publicOperations[wanted].some((op) => operations.includes(op))) {
    throw invalid('key_ops', `key_ops does not allow "${wanted}": it needs ${publicOperations[wanted].join(' or ')}.`);
  }
  return Object.freeze([...operations]);
}

function optionalString(value: unknown, field: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '' || value.length > 256) {
    throw invalid(field, `${field} is a string of 1 to 256 characters.`);
  }
  return value;
}

function fixedBytes(value: unknown, field: string, length: number): Uint8Array {
  const bytes = typeof value === 'string' && value.length <= 128 ? tryDecodeBase64Url(value) : undefined;
  if (bytes?.length !== length) throw invalid(field, `${field} is ${length} bytes in strict base64url.`);
  return bytes;
}

/** Base64urlUInt (RFC 7518 §2): big-endian, no leading zero byte. */
function unsignedInteger(value: unknown, field: string): bigint {
  const bytes = typeof value === 'string' && value.length <= 4096 ? tryDecodeBase64Url(value) : undefined;
  if (bytes === undefined || bytes.length === 0) throw invalid(field, `${field} is an integer in strict base64url.`);
  if (bytes[0] === 0) throw invalid(field, `${field} must not begin with a zero byte (RFC 7518 §2).`);
  return bytesToBigInt(bytes);
}

function invalid(field: string, message: string): CryptoError {
  return new CryptoError('crypto.invalid_key', { field, message });
}
function weak(field: string, message: string): CryptoError {
  return new CryptoError('crypto.weak_key', { field, message });
}
function invalidSet(field: string, message: string): CryptoError {
  return new CryptoError('crypto.invalid_jwks', { field, message });
}
