import { createHash } from 'node:crypto';
import { isCryptoError, verifyJwt } from '@gatehouse/crypto';
import type { Clock } from '../../../kernel/index.ts';
import type { Keys } from '../../keys/index.ts';
import { type AccessTokenClaims, accessTokenType } from './access-token.ts';
import { clockSkewSeconds } from './limits.ts';

/** Verifies access tokens that we signed. Whether one was revoked is asked of the database by the callers. */
export interface AccessTokenVerifier {
  /** The claims of a token of ours that is within its times; undefined for anything else. */
  verify(token: string): Promise<AccessTokenClaims | undefined>;
}

const maxTokenBytes = 16_384;
const maxRemembered = 10_000;
const requiredClaims = ['sub', 'aud', 'iat', 'jti', 'client_id', 'org'] as const;

/**
 * Creates the verifier. A token that was verified is remembered by its hash until it expires: the signature is then
 * checked once per node, while its key and its times are looked at on every use.
 */
export function createAccessTokenVerifier(deps: {
  issuer: string;
  clock: Clock;
  keys: Pick<Keys, 'findVerificationKey'>;
}): AccessTokenVerifier {
  const remembered = new Map<string, { claims: AccessTokenClaims; kid: string }>();
  return {
    async verify(token) {
      if (token.length > maxTokenBytes) return undefined;
      const hash = createHash('sha256').update(token).digest('base64url');
      const known = remembered.get(hash);
      if (known) {
        if (deps.keys.findVerificationKey(known.kid) && isWithinTimes(known.claims, deps.clock.now()))
          return known.claims;
        remembered.delete(hash);
        return undefined;
      }
      const verified = await verify(token, deps);
      if (!verified) return undefined;
      if (remembered.size >= maxRemembered) remembered.delete(remembered.keys().next().value as string);
      remembered.set(hash, verified);
      return verified.claims;
    },
  };
}

async function verify(
  token: string,
  deps: Parameters<typeof createAccessTokenVerifier>[0],
): Promise<{ claims: AccessTokenClaims; kid: string } | undefined> {
  try {
    const { header, claims } = await verifyJwt(token, {
      algorithms: ['ES256', 'RS256'],
      typ: accessTokenType,
      maxBytes: maxTokenBytes,
      findKey: ({ kid }) => (typeof kid === 'string' ? deps.keys.findVerificationKey(kid) : undefined),
      issuer: deps.issuer,
      now: deps.clock.now(),
      skewSeconds: clockSkewSeconds,
      required: requiredClaims,
    });
    return hasOurShape(claims)
      ? { claims: claims as unknown as AccessTokenClaims, kid: header.kid as string }
      : undefined;
  } catch (error) {
    if (isCryptoError(error)) return undefined;
    throw error;
  }
}

/** Our own claims have the types we write: a token signed by our keys for another purpose stops here. */
function hasOurShape(claims: Readonly<Record<string, unknown>>): boolean {
  return (
    typeof claims['client_id'] === 'string' &&
    typeof claims['org'] === 'string' &&
    typeof (claims['scope'] ?? '') === 'string' &&
    (claims['roles'] === undefined || Array.isArray(claims['roles']))
  );
}

function isWithinTimes(claims: AccessTokenClaims, now: Date): boolean {
  return claims.exp + clockSkewSeconds > now.getTime() / 1000;
}
