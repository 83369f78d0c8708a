import { createHash, timingSafeEqual } from 'node:crypto';
import {
  importVerificationKey,
  isCryptoError,
  judgePublicJwk,
  jwkThumbprint,
  parseJwtClaims,
  verifyCompactJws,
} from '@gatehouse/crypto';
import ServerChallenge from 'oidc-provider/lib/helpers/challenge.js';
import { addSeconds, type Clock, type Db } from '../../../kernel/index.ts';
import { proofSeconds } from './limits.ts';
import { useIdOnce } from './token-store.ts';

/** What a proof must be about (RFC 9449 §4.3). */
export interface ProofInput {
  readonly proof: string;
  /** The client that presents it: a proof is good once per client, at whichever endpoint. */
  readonly clientId: string;
  readonly method: string;
  /** The endpoint's address, without query. */
  readonly url: string;
  /** The access token the proof comes with, at a resource; absent at the token endpoint. */
  readonly accessToken?: string;
}

/** A proof was not accepted. `nonce` is set when the client should try again with it. */
export class ProofRefused extends Error {
  readonly nonce: string | undefined;
  constructor(message: string, nonce?: string) {
    super(message);
    this.name = 'ProofRefused';
    this.nonce = nonce;
  }
}

/**
 * Checks DPoP proofs at the endpoints that are ours. oidc-provider checks those of its own endpoints; both take the
 * same nonces (same secret, same algorithm) and remember used proofs in the same table.
 */
export function createProofs(deps: { db: Db; clock: Clock; nonceSecret: Buffer }) {
  const { db, clock } = deps;
  const nonces = new ServerChallenge(deps.nonceSecret, 'DPoP');
  return {
    /** The thumbprint of the key that made the proof. Throws {@link ProofRefused}; a proof is good once. */
    async check(input: ProofInput): Promise<string> {
      const { jwk, claims } = await verifyProof(input.proof);
      const { htm, htu, iat, jti, nonce, ath } = claims;
      if (htm !== input.method) throw new ProofRefused('htm of the proof is not the method of the request');
      if (typeof htu !== 'string' || withoutQuery(htu) !== withoutQuery(input.url)) {
        throw new ProofRefused('htu of the proof is not the address of the request');
      }
      if (typeof jti !== 'string' || jti === '' || jti.length > 512)
        throw new ProofRefused('the proof has no usable jti');
      if (typeof iat !== 'number') throw new ProofRefused('the proof has no iat');
      const now = clock.now();
      if (nonce !== undefined) {
        if (typeof nonce !== 'string' || !nonces.checkChallenge(nonce)) {
          throw new ProofRefused('the nonce of the proof is not one of ours', nonces.nextChallenge());
        }
      } else if (Math.abs(now.getTime() / 1000 - iat) > proofSeconds) {
        throw new ProofRefused('the proof is not recent; use a nonce', nonces.nextChallenge());
      }
      if (input.accessToken !== undefined && !isHashOf(ath, input.accessToken)) {
        throw new ProofRefused('ath of the proof is not the hash of the access token');
      }
      const thumbprint = jwkThumbprint(jwk);
      const first = await db.transaction((tx) =>
        useIdOnce(tx, { issuer: input.clientId, id: jti, expiresAt: addSeconds(now, 2 * proofSeconds), now }),
      );
      if (!first) throw new ProofRefused('the proof was used before');
      return thumbprint;
    },
  };
}

export type Proofs = ReturnType<typeof createProofs>;

async function verifyProof(proof: string) {
  try {
    let jwk: Parameters<typeof jwkThumbprint>[0] | undefined;
    const { payload } = await verifyCompactJws(proof, {
      typ: 'dpop+jwt',
      algorithms: ['ES256', 'EdDSA'],
      maxBytes: 8192,
      // The one place where the key comes with the token: possession of it is all that a proof says.
      findKey: (header) => {
        const judged = judgePublicJwk(header['jwk'], { use: 'sig', alg: header.alg });
        jwk = judged.jwk;
        return importVerificationKey(judged.jwk, header.alg);
      },
    });
    if (!jwk) throw new ProofRefused('the proof carries no key');
    return { jwk, claims: parseJwtClaims(payload) };
  } catch (error) {
    if (isCryptoError(error)) throw new ProofRefused('the proof is not a valid DPoP proof');
    throw error;
  }
}

function withoutQuery(address: string): string | undefined {
  const url = URL.parse(address);
  if (!url) return undefined;
  url.search = '';
  url.hash = '';
  return url.href;
}

function isHashOf(ath: unknown, token: string): boolean {
  if (typeof ath !== 'string') return false;
  const expected = createHash('sha256').update(token).digest();
  const given = Buffer.from(ath, 'base64url');
  return given.length === expected.length && timingSafeEqual(given, expected);
}
