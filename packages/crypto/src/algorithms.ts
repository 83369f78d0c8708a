import type { KeyObject } from 'node:crypto';

/** How a signature algorithm is computed, and which key it takes (RFC 7518 §3.1, RFC 8037 §3.1). */
export type SignatureScheme =
  | { readonly kind: 'rsa'; readonly hash: string; readonly pss: boolean }
  | { readonly kind: 'ecdsa'; readonly hash: string; readonly curve: string; readonly signatureBytes: number }
  | { readonly kind: 'eddsa' }
  | { readonly kind: 'hmac'; readonly hash: string; readonly minKeyBytes: number };

const schemes = {
  ES256: { kind: 'ecdsa', hash: 'sha256', curve: 'prime256v1', signatureBytes: 64 },
  ES384: { kind: 'ecdsa', hash: 'sha384', curve: 'secp384r1', signatureBytes: 96 },
  ES512: { kind: 'ecdsa', hash: 'sha512', curve: 'secp521r1', signatureBytes: 132 },
  RS256: { kind: 'rsa', hash: 'sha256', pss: false },
  RS384: { kind: 'rsa', hash: 'sha384', pss: false },
  RS512: { kind: 'rsa', hash: 'sha512', pss: false },
  PS256: { kind: 'rsa', hash: 'sha256', pss: true },
  PS384: { kind: 'rsa', hash: 'sha384', pss: true },
  PS512: { kind: 'rsa', hash: 'sha512', pss: true },
  EdDSA: { kind: 'eddsa' },
  Ed25519: { kind: 'eddsa' },
  HS256: { kind: 'hmac', hash: 'sha256', minKeyBytes: 32 },
  HS384: { kind: 'hmac', hash: 'sha384', minKeyBytes: 48 },
  HS512: { kind: 'hmac', hash: 'sha512', minKeyBytes: 64 },
} as const satisfies Record<string, SignatureScheme>;

/** Every signature algorithm the JWS door can compute. `none` is not one. */
export type SignatureAlgorithm = keyof typeof schemes;

/** What the JWS door accepts when the caller names nothing: no HMAC, no SHA-384/512 variants. */
export const defaultSignatureAlgorithms = ['ES256', 'RS256', 'PS256', 'EdDSA'] as const satisfies SignatureAlgorithm[];

/** The scheme of an algorithm name, or undefined for any other string (also `none` in all spellings). */
export function signatureScheme(alg: string): SignatureScheme | undefined {
  return Object.hasOwn(schemes, alg) ? schemes[alg as SignatureAlgorithm] : undefined;
}

/** True if this key object is of the kind the scheme takes. The key decides, never the token. */
export function keyFitsScheme(key: KeyObject, scheme: SignatureScheme): boolean {
  switch (scheme.kind) {
    case 'rsa':
      return key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048;
    case 'ecdsa':
      return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === scheme.curve;
    case 'eddsa':
      return key.asymmetricKeyType === 'ed25519';
    default:
      return key.type === 'secret' && (key.symmetricKeySize ?? 0) >= scheme.minKeyBytes;
  }
}

/** All of them, for callers that check a configured name. Not an allow list. */
export const signatureAlgorithms = Object.keys(schemes) as readonly SignatureAlgorithm[];

/** Key management algorithms the JWE door can compute. RSA1_5 and PBES2 are not among them. */
export const keyManagementAlgorithms = [
  'RSA-OAEP',
  'RSA-OAEP-256',
  'ECDH-ES',
  'ECDH-ES+A128KW',
  'ECDH-ES+A192KW',
  'ECDH-ES+A256KW',
  'A128KW',
  'A192KW',
  'A256KW',
  'A128GCMKW',
  'A192GCMKW',
  'A256GCMKW',
  'dir',
] as const;
/** One of the key management algorithms the JWE door can compute. */
export type KeyManagementAlgorithm = (typeof keyManagementAlgorithms)[number];

/** Content encryption algorithms (RFC 7518 §5.1) the JWE door can compute. */
export const contentAlgorithms = [
  'A128GCM',
  'A192GCM',
  'A256GCM',
  'A128CBC-HS256',
  'A192CBC-HS384',
  'A256CBC-HS512',
] as const;
/** One of the content encryption algorithms the JWE door can compute. */
export type ContentAlgorithm = (typeof contentAlgorithms)[number];

/** What the JWE door accepts when the caller names nothing. */
export const defaultKeyManagementAlgorithms = [
  'RSA-OAEP-256',
  'ECDH-ES+A256KW',
] as const satisfies KeyManagementAlgorithm[];
/** The content encryption the JWE door accepts when the caller names nothing. */
export const defaultContentAlgorithms = ['A256GCM'] as const satisfies ContentAlgorithm[];
