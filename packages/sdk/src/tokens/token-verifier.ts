/**
 * Verifies access tokens locally, with the issuer's published keys: no request per token.
 *
 * Order: size and form, header (`typ` at+jwt, algorithm on the allow list, no `crit`), key by `kid`, signature, claims
 * (`iss`, `aud`, `exp`, `iat`, `sub`, `jti`; skew of 60 s at most). `jku`, `x5u`, `x5c` and `jwk` are never looked at.
 */
import { createHash } from 'node:crypto';
import {
  importVerificationKey,
  isCryptoError,
  type JsonObject,
  type JwtClaims,
  parseJwtClaims,
  type SignatureAlgorithm,
  verifyCompactJws,
  verifyJwtClaims,
} from '@gatehouse/crypto';
import { createBoundedCache } from '../bounded-cache.ts';
import { type Clock, systemClock } from '../clock.ts';
import { GatehouseError, type GatehouseErrorCode } from '../errors.ts';
import { type HttpOptions, issuerUrl, parseAddress } from '../http/request.ts';
import { type AccessToken, accessTokenOf } from './access-token.ts';
import { createIssuerKeys } from './issuer-keys.ts';

/** Whose tokens are accepted, and for whom. */
export interface TokenVerifierOptions extends HttpOptions {
  /** The server's public address, exactly as in the tokens' `iss`. */
  issuer: string;
  /** This service's own audience (or audiences): one of them must be in the token's `aud`. */
  audience: string | readonly string[];
  /** Where the keys are. Default `<issuer>/.well-known/jwks.json`. */
  jwksUri?: string;
  /** Accepted signature algorithms. Default ES256, RS256, PS256, EdDSA. */
  algorithms?: readonly ('ES256' | 'RS256' | 'PS256' | 'EdDSA' | 'ES384' | 'ES512')[];
  /** Tolerated clock difference, 0 to 60. Default 60. */
  skewSeconds?: number;
  /** Verified tokens remembered until they expire, so that a token in use costs one hash. 0 switches it off. Default 10000. */
  cacheEntries?: number;
  /** One more fetch of the keys is allowed in this time, once three in a row are used up. Default 10. */
  refetchSeconds?: number;
  /** How long keys serve after their cache time while the issuer cannot be reached. Default 3600. */
  maxStaleSeconds?: number;
  clock?: Clock;
}

/** Verifies tokens of one issuer for one service. Make one and keep it: it holds the keys. */
export interface TokenVerifier {
  /** Resolves with what the token says, or rejects with a `GatehouseError`. `undefined` is `token_missing`. */
  verify(token: string | undefined): Promise<AccessToken>;
}

const defaultAlgorithms = ['ES256', 'RS256', 'PS256', 'EdDSA'] as const;
const maxTokenBytes = 16_384;

/**
 * Makes a verifier. Nothing is fetched before the first token.
 *
 * @example
 * const tokens = createTokenVerifier({ issuer: 'https://id.example.com', audience: 'acme.records' });
 * const user = await tokens.verify(bearerToken(request.headers.authorization));
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { issuer, audience, clock = systemClock, skewSeconds = 60, cacheEntries = 10_000 } = options;
  const algorithms: readonly SignatureAlgorithm[] = options.algorithms ?? defaultAlgorithms;
  const jwksUri = options.jwksUri ?? issuerUrl(issuer, '/.well-known/jwks.json', options);
  parseAddress('jwksUri', jwksUri, options);
  if (audience.length === 0) throw new GatehouseError('configuration_invalid', 'audience must not be empty.');
  if (!(skewSeconds >= 0 && skewSeconds <= 60)) {
    throw new GatehouseError('configuration_invalid', 'skewSeconds must be from 0 to 60.');
  }
  const keys = createIssuerKeys({
    jwksUri,
    clock,
    http: options,
    refetchSeconds: Math.max(1, options.refetchSeconds ?? 10),
    maxStaleSeconds: options.maxStaleSeconds ?? 3600,
  });
  const verified = createBoundedCache<{ kid: string; token: AccessToken }>({
    maxEntries: cacheEntries,
    now: () => clock.now(),
  });

  async function verifyFully(text: string): Promise<{ kid: string; token: AccessToken }> {
    try {
      const { header, payload } = await verifyCompactJws(text, {
        typ: 'at+jwt',
        algorithms,
        maxBytes: maxTokenBytes,
        findKey: async ({ kid }) => {
          const key = typeof kid === 'string' ? await keys.find(kid) : undefined;
          return key === undefined ? undefined : importVerificationKey(key.jwk);
        },
      });
      const kid = typeof header.kid === 'string' ? header.kid : '';
      return { kid, token: accessTokenOf(verifyClaims(parseJwtClaims(payload))) };
    } catch (error) {
      throw tokenError(error);
    }
  }

  function verifyClaims(claims: JsonObject): JwtClaims {
    const now = clock.now();
    try {
      return verifyJwtClaims(claims, { issuer, audience, now, skewSeconds, required: ['sub', 'iat', 'jti'] });
    } catch (error) {
      if (!isCryptoError(error, 'crypto.invalid_claims')) throw error;
      throw new GatehouseError(claimCode(error.field, claims, now), error.message, { cause: error });
    }
  }

  return {
    async verify(text) {
      if (text === undefined) throw new GatehouseError('token_missing', 'The request carries no bearer token.');
      if (typeof text !== 'string' || text.length > maxTokenBytes) {
        throw new GatehouseError('token_malformed', `A token is a string of at most ${maxTokenBytes} characters.`);
      }
      if (cacheEntries <= 0) return (await verifyFully(text)).token;
      const key = createHash('sha256').update(text).digest('base64');
      const known = verified.get(key);
      // A key that the issuer withdrew must not live on here, so a hit counts only while its key is published.
      if (known !== undefined && keys.isCurrent(known.kid)) return known.token;
      const result = await verifyFully(text);
      verified.set(key, result, result.token.expiresAt);
      return result.token;
    },
  };
}

const oneShotVerifiers = new Map<string, TokenVerifier>();

/**
 * Verifies one access token. The same issuer and audience share one verifier (and so its keys) within the process; use
 * `createTokenVerifier` to set anything else.
 *
 * @example
 * const user = await verifyAccessToken(token, { issuer: 'https://id.example.com', audience: 'acme.records' });
 */
export async function verifyAccessToken(
  token: string,
  options: Pick<TokenVerifierOptions, 'issuer' | 'audience' | 'jwksUri' | 'allowInsecureHttp'>,
): Promise<AccessToken> {
  const { issuer, audience, jwksUri, allowInsecureHttp } = options;
  const name = JSON.stringify([issuer, audience, jwksUri, allowInsecureHttp]);
  let verifier = oneShotVerifiers.get(name);
  if (verifier === undefined) {
    verifier = createTokenVerifier(options);
    // Options come from code, so there are few; the bound only catches a caller who builds them from requests.
    if (oneShotVerifiers.size < 100) oneShotVerifiers.set(name, verifier);
  }
  return verifier.verify(token);
}

/** The token of an `Authorization: Bearer …` header (RFC 6750 §2.1), or undefined when there is none. */
export function bearerToken(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^bearer +([\w.~+/-]+=*)$/i.exec(header)?.[1];
}

/** Translates the crypto package's errors; those of this package pass. */
function tokenError(error: unknown): unknown {
  if (!isCryptoError(error)) return error;
  const options = { cause: error };
  switch (error.code) {
    case 'crypto.invalid_jws':
      if (error.field === 'typ') return new GatehouseError('token_wrong_type', error.message, options);
      return new GatehouseError('token_malformed', error.message, options);
    case 'crypto.algorithm_not_allowed':
      return new GatehouseError('token_algorithm_refused', error.message, options);
    case 'crypto.unknown_key':
      return new GatehouseError(
        'token_unknown_key',
        'The issuer publishes no key with the kid of this token.',
        options,
      );
    case 'crypto.bad_signature':
      return new GatehouseError('token_signature_invalid', error.message, options);
    case 'crypto.invalid_claims':
      return new GatehouseError('token_claim_invalid', error.message, options);
    default:
      return new GatehouseError('token_malformed', error.message, options);
  }
}

/** A claim that has the right form was refused for what it says; the form itself is `token_claim_invalid`. */
function claimCode(field: string | undefined, claims: JsonObject, now: Date): GatehouseErrorCode {
  const value = field === undefined ? undefined : claims[field];
  const nowSeconds = now.getTime() / 1000;
  if (field === 'iss' && typeof value === 'string') return 'token_wrong_issuer';
  if (field === 'aud' && (typeof value === 'string' || isTextList(value))) return 'token_wrong_audience';
  if (field === 'exp' && Number.isInteger(value) && Number(value) <= nowSeconds) return 'token_expired';
  if ((field === 'nbf' || field === 'iat') && Number.isInteger(value) && Number(value) > nowSeconds) {
    return 'token_not_yet_valid';
  }
  return 'token_claim_invalid';
}

function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string' && item !== '');
}
