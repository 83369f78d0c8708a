import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import { CryptoError } from './errors.ts';
import type { OctJwk, PrivateJwk, PublicJwk } from './jwk.ts';

/**
 * The SHA-256 thumbprint of a key (RFC 7638 §3, RFC 8037 §2) in base64url: the `kid` of every key
 * Gatehouse makes. Only the required public members count, so public and private form agree.
 */
export function jwkThumbprint(jwk: PublicJwk | PrivateJwk | OctJwk): string {
  return createHash('sha256')
    .update(canonicalJson(requiredMembers(jwk)))
    .digest('base64url');
}

function requiredMembers(jwk: PublicJwk | PrivateJwk | OctJwk): object {
  switch (jwk.kty) {
    case 'RSA':
      return { e: jwk.e, kty: jwk.kty, n: jwk.n };
    case 'EC':
      return { crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y };
    case 'OKP':
      return { crv: jwk.crv, kty: jwk.kty, x: jwk.x };
    case 'oct':
      return { k: jwk.k, kty: jwk.kty };
    default:
      throw new CryptoError('crypto.invalid_key', { field: 'kty', message: 'kty is "RSA", "EC", "OKP" or "oct".' });
  }
}
