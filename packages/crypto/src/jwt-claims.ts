import { CryptoError } from './errors.ts';
import { type JsonObject, parseJsonObjectStrict } from './json.ts';
import { type VerifiedJws, type VerifyJwsOptions, verifyCompactJws } from './jws.ts';

/** The largest clock skew any caller may allow, in seconds. */
export const maxSkewSeconds = 60;
/** 9999-12-31T23:59:59Z: later times are nonsense (milliseconds taken for seconds, for example). */
const latestSeconds = 253_402_300_799;

/** What the claims must say (RFC 7519 §4.1). */
export interface VerifyClaimsOptions {
  /** The accepted issuer or issuers, compared exactly. */
  readonly issuer: string | readonly string[];
  /** The caller's own name or names: one of them must be in `aud`. Absent: `aud` is only checked for form. */
  readonly audience?: string | readonly string[];
  readonly now: Date;
  /** Tolerated clock difference, at most 60. Default 60. */
  readonly skewSeconds?: number;
  /** Claims that must be there besides `iss` and `exp`. */
  readonly required?: readonly string[];
  /** Longest accepted `exp - iat`; makes `iat` required. */
  readonly maxLifetimeSeconds?: number;
}

/** Claims after `verifyJwtClaims`: the registered ones have their types, the rest are as they came. */
export type JwtClaims = JsonObject & {
  readonly iss: string;
  readonly exp: number;
  readonly sub?: string;
  readonly aud?: string | readonly string[];
  readonly nbf?: number;
  readonly iat?: number;
  readonly jti?: string;
};

/**
 * Checks the registered claims: types, ranges (whole seconds, not negative, before the year 10000), issuer,
 * audience, times. `iss` and `exp` are always required.
 *
 * @throws CryptoError `crypto.invalid_claims` with `field` = the claim
 */
export function verifyJwtClaims(claims: JsonObject, options: VerifyClaimsOptions): JwtClaims {
  const { skewSeconds = maxSkewSeconds, required = [], maxLifetimeSeconds } = options;
  if (!(skewSeconds >= 0 && skewSeconds <= maxSkewSeconds)) {
    throw new CryptoError('crypto.invalid_argument', { field: 'skewSeconds', message: 'skewSeconds is 0 to 60.' });
  }
  const needed = ['iss', 'exp', ...(maxLifetimeSeconds === undefined ? [] : ['iat']), ...required];
  if (options.audience !== undefined) needed.push('aud');
  for (const name of needed) {
    if (!Object.hasOwn(claims, name) || claims[name] === null) throw invalid(name, `The claim ${name} is missing.`);
  }
  const { exp = 0, nbf, iat } = numericDates(claims);
  for (const name of ['iss', 'sub', 'jti']) assertString(claims, name);
  assertAudience(claims, options.audience);
  const issuers = typeof options.issuer === 'string' ? [options.issuer] : options.issuer;
  if (!issuers.includes(claims.iss as string)) throw invalid('iss', 'The claim iss is not an accepted issuer.');
  const now = options.now.getTime() / 1000;
  if (!Number.isFinite(now))
    throw new CryptoError('crypto.invalid_argument', { field: 'now', message: 'now is a valid date.' });
  if (exp + skewSeconds <= now) throw invalid('exp', 'The token has expired.');
  if (nbf !== undefined && nbf - skewSeconds > now) throw invalid('nbf', 'The token is not valid yet.');
  if (iat !== undefined && iat - skewSeconds > now) throw invalid('iat', 'The token was issued in the future.');
  if (iat !== undefined && exp < iat) throw invalid('exp', 'The token expires before it was issued.');
  if (maxLifetimeSeconds !== undefined && exp - (iat ?? 0) > maxLifetimeSeconds) {
    throw invalid('exp', `The token lives longer than ${maxLifetimeSeconds} seconds.`);
  }
  return claims as JwtClaims;
}

/** The claims of a verified JWS: a strict JSON object. */
export function parseJwtClaims(payload: Uint8Array): JsonObject {
  try {
    return parseJsonObjectStrict(payload, { maxDepth: 16 });
  } catch (cause) {
    throw new CryptoError('crypto.invalid_claims', {
      field: 'payload',
      message: 'The claims are not a strict JSON object.',
      cause,
    });
  }
}

/** Verifies a signed JWT whole: signature first, then claims. */
export async function verifyJwt(
  token: string,
  options: VerifyJwsOptions & VerifyClaimsOptions,
): Promise<{ readonly header: VerifiedJws['header']; readonly claims: JwtClaims }> {
  const { header, payload } = await verifyCompactJws(token, options);
  return { header, claims: verifyJwtClaims(parseJwtClaims(payload), options) };
}

/** NumericDate (RFC 7519 §2), narrowed to whole seconds: what every issuer writes. */
function numericDates(claims: JsonObject): { exp?: number; nbf?: number; iat?: number } {
  const dates: { exp?: number; nbf?: number; iat?: number } = {};
  for (const name of ['exp', 'nbf', 'iat'] as const) {
    if (!Object.hasOwn(claims, name)) continue;
    const value = claims[name];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > latestSeconds) {
      throw invalid(name, `The claim ${name} is a whole number of seconds since 1970, before the year 10000.`);
    }
    dates[name] = value;
  }
  return dates;
}

function assertString(claims: JsonObject, name: string): void {
  if (!Object.hasOwn(claims, name)) return;
  const value = claims[name];
  if (typeof value !== 'string' || value === '' || value.length > 1024) {
    throw invalid(name, `The claim ${name} is a string of 1 to 1024 characters.`);
  }
}

function assertAudience(claims: JsonObject, audience: string | readonly string[] | undefined): void {
  if (!Object.hasOwn(claims, 'aud')) return;
  const { aud } = claims;
  const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (named.length === 0 || named.length > 1000 || !named.every((name) => typeof name === 'string' && name !== '')) {
    throw invalid('aud', 'The claim aud is a string or a non-empty list of strings.');
  }
  if (audience === undefined) return;
  const own = typeof audience === 'string' ? [audience] : audience;
  if (!own.some((name) => named.includes(name))) throw invalid('aud', 'The token is not meant for this audience.');
}

function invalid(field: string, message: string): CryptoError {
  return new CryptoError('crypto.invalid_claims', { field, message });
}
