import type { PublicJwk } from './jwk.ts';
import { judgedFor, publicKeyObjectOf } from './key-objects.ts';

/** A public key as SubjectPublicKeyInfo in PEM (RFC 7468 §13), ending in a newline. */
export function publicJwkToPem(jwk: PublicJwk): string {
  const isEncryption = jwk.use === 'enc' || (jwk.kty === 'OKP' && jwk.crv === 'X25519');
  return String(
    publicKeyObjectOf(judgedFor(jwk, isEncryption ? 'enc' : 'sig')).export({ type: 'spki', format: 'pem' }),
  );
}
