/** What a key is for (RFC 7517 §4.2). */
export type KeyUse = 'sig' | 'enc';

/** Members that any public JWK here may carry besides its own (RFC 7517 §4). */
interface CommonMembers {
  readonly kid?: string;
  readonly use?: KeyUse;
  readonly key_ops?: readonly string[];
  readonly alg?: string;
}
/** A public RSA key (RFC 7518 §6.3). */
export interface RsaPublicJwk extends CommonMembers {
  readonly kty: 'RSA';
  readonly n: string;
  readonly e: string;
}
/** A public key on a NIST curve (RFC 7518 §6.2). */
export interface EcPublicJwk extends CommonMembers {
  readonly kty: 'EC';
  readonly crv: 'P-256' | 'P-384' | 'P-521';
  readonly x: string;
  readonly y: string;
}
/** A public Ed25519 or X25519 key (RFC 8037). */
export interface OkpPublicJwk extends CommonMembers {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519' | 'X25519';
  readonly x: string;
}
/** A public key in JWK form. */
export type PublicJwk = RsaPublicJwk | EcPublicJwk | OkpPublicJwk;

/** A private key in JWK form: never published, never logged. */
export type PrivateJwk =
  | (RsaPublicJwk & {
      readonly d: string;
      readonly p: string;
      readonly q: string;
      readonly dp: string;
      readonly dq: string;
      readonly qi: string;
    })
  | (EcPublicJwk & { readonly d: string })
  | (OkpPublicJwk & { readonly d: string });

/** A symmetric key in JWK form (RFC 7518 §6.4). Only for callers that ask for HMAC or AES by name. */
export interface OctJwk extends CommonMembers {
  readonly kty: 'oct';
  readonly k: string;
}

/** A key set (RFC 7517 §5). */
export interface Jwks {
  readonly keys: readonly PublicJwk[];
}

/** Members that make a key private or symmetric (RFC 7518 §6.2.2, §6.3.2, §6.4). */
export const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'] as const;

/** The public members of a key and nothing else: what may be shown to anyone. */
export function publicJwkOf(jwk: PublicJwk | PrivateJwk): PublicJwk {
  const common = {
    ...(jwk.kid === undefined ? {} : { kid: jwk.kid }),
    ...(jwk.use === undefined ? {} : { use: jwk.use }),
    ...(jwk.key_ops === undefined ? {} : { key_ops: jwk.key_ops }),
    ...(jwk.alg === undefined ? {} : { alg: jwk.alg }),
  };
  switch (jwk.kty) {
    case 'RSA':
      return { kty: jwk.kty, n: jwk.n, e: jwk.e, ...common };
    case 'EC':
      return { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y, ...common };
    default:
      return { kty: jwk.kty, crv: jwk.crv, x: jwk.x, ...common };
  }
}
