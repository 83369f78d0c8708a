import { isCryptoError, verifyJwt } from '@gatehouse/crypto';
import { addSeconds, type Clock, type Db } from '../../../../kernel/index.ts';
import { assertionSeconds, clockSkewSeconds } from '../../tokens/limits.ts';
import { useIdOnce } from '../../tokens/token-store.ts';
import type { OAuthClient } from '../clients/client.ts';
import { findClientKey, type RemoteKeys } from './client-keys.ts';

export interface AssertionDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly remoteKeys: RemoteKeys;
  /** What `aud` of an assertion may be: the issuer, or the endpoint it is sent to. */
  readonly audiences: readonly string[];
}

/** Clients write one of these as `typ`, or none. An access token or a DPoP proof is no assertion. */
const assertionTypes: readonly string[] = ['jwt', 'client-authentication+jwt', 'application/client-authentication+jwt'];

/**
 * Checks a client assertion (RFC 7523 §3): signed by a key the service registered, `iss` and `sub` the client,
 * for us, alive for five minutes at most, and used for the first time. Returns why it is refused, if it is.
 */
export async function checkAssertion(
  client: OAuthClient,
  assertion: string,
  { db, clock, remoteKeys, audiences }: AssertionDeps,
): Promise<string | undefined> {
  const now = clock.now();
  let verified: Awaited<ReturnType<typeof verifyJwt>>;
  try {
    verified = await verifyJwt(assertion, {
      algorithms: ['ES256', 'RS256', 'PS256', 'EdDSA'],
      maxBytes: 16_384,
      findKey: ({ kid, alg }) => findClientKey(client, kid, alg, remoteKeys),
      issuer: client.clientId,
      audience: audiences,
      now,
      skewSeconds: clockSkewSeconds,
      required: ['sub', 'jti', 'aud'],
    });
  } catch (error) {
    if (isCryptoError(error)) return error.message;
    throw error;
  }
  const { sub, jti, exp, iat, aud } = verified.claims;
  const { typ } = verified.header;
  if (typ !== undefined && !assertionTypes.includes(typ.toLowerCase())) return 'typ is that of another token';
  if (sub !== client.clientId) return 'sub is not the client id';
  // An assertion that is also for somebody else could be replayed there, or come from there.
  if (Array.isArray(aud) && !aud.every((one) => audiences.includes(one as string)))
    return 'aud names others besides us';
  if (typeof jti !== 'string' || jti.length > 512) return 'jti is too long';
  if (exp > now.getTime() / 1000 + assertionSeconds + clockSkewSeconds) return 'exp is more than five minutes ahead';
  if (iat !== undefined && exp - iat > assertionSeconds) return 'the assertion lives longer than five minutes';
  const expiresAt = addSeconds(new Date(exp * 1000), clockSkewSeconds + 1);
  const first = await db.transaction((tx) => useIdOnce(tx, { issuer: client.clientId, id: jti, expiresAt, now }));
  return first ? undefined : 'the assertion was used before';
}
