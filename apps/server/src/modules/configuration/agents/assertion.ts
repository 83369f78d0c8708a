import { createHash } from 'node:crypto';
import { importVerificationKey, isCryptoError, type JwtClaims, type PublicJwk, verifyJwt } from '@gatehouse/crypto';
import { addSeconds, type Tx } from '../../../kernel/index.ts';
import { useAssertionOnce } from './agent-store.ts';
import { assertionSeconds, clockSkewSeconds } from './limits.ts';

/** The `typ` of an agent's statement about itself: taken for no other token, and no other for it. */
export const assertionType = 'gatehouse-agent-assertion+jwt';

const maxBytes = 4096;

/** An assertion whose signature and claims hold; it is good only when its id is used for the first time. */
export interface CheckedAssertion {
  readonly idHash: Uint8Array;
  /** Until when the id has to be remembered. */
  readonly expiresAt: Date;
  readonly claims: JwtClaims;
}

/**
 * Checks an assertion (RFC 7523 §3): signed with ES256 by this key, `iss` and `sub` the agent, for us alone, alive for
 * five minutes at most. Undefined when anything of it is not so.
 */
export async function checkAssertion(
  assertion: string,
  expected: { agentId: string; jwk: PublicJwk; issuer: string; now: Date },
): Promise<CheckedAssertion | undefined> {
  const { agentId, jwk, issuer, now } = expected;
  const key = importVerificationKey(jwk, 'ES256');
  let claims: JwtClaims;
  try {
    const verified = await verifyJwt(assertion, {
      algorithms: ['ES256'],
      typ: assertionType,
      maxBytes,
      findKey: ({ kid }) => (kid === undefined || kid === key.kid ? key : undefined),
      issuer: agentId,
      audience: issuer,
      now,
      skewSeconds: clockSkewSeconds,
      required: ['sub', 'jti', 'iat'],
      maxLifetimeSeconds: assertionSeconds,
    });
    claims = verified.claims;
  } catch (error) {
    if (isCryptoError(error)) return undefined;
    throw error;
  }
  // An assertion that is also for somebody else could be replayed there, or come from there.
  const isForUsAlone = claims.aud === issuer || (Array.isArray(claims.aud) && claims.aud.length === 1);
  if (claims.sub !== agentId || !isForUsAlone || claims.jti === undefined || claims.jti.length > 256) return undefined;
  const idHash = createHash('sha256').update(`${agentId}\0${claims.jti}`).digest();
  return { idHash, expiresAt: addSeconds(new Date(claims.exp * 1000), clockSkewSeconds + 1), claims };
}

/** The agent that an assertion says it is of; undefined when it says none. Nothing of it is verified. */
export function claimedAgent(assertion: string): string | undefined {
  if (assertion.length > maxBytes) return undefined;
  try {
    const { iss } = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString('utf8')) as {
      iss?: unknown;
    };
    return typeof iss === 'string' && /^agt_[a-z0-9]{1,60}$/.test(iss) ? iss : undefined;
  } catch {
    return undefined;
  }
}

/** Takes a checked assertion. False when it was used before, on whichever node. */
export function takeAssertion(tx: Tx, { idHash, expiresAt }: CheckedAssertion): Promise<boolean> {
  return useAssertionOnce(tx, idHash, expiresAt);
}
