/** From JWK to the objects that the JWS and JWE doors take. Import once, keep, use often. */
import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { tryDecodeBase64Url } from './base64url.ts';
import { CryptoError } from './errors.ts';
import { type JudgedKey, judgedKeyOf, judgePublicJwk } from './judge-jwk.ts';
import { type KeyUse, type OctJwk, type PrivateJwk, type PublicJwk, publicJwkOf } from './jwk.ts';

/** A key that verifies signatures. `alg`, if set, is the only algorithm it is used with. */
export interface VerificationKey {
  readonly kid?: string | undefined;
  readonly alg?: string | undefined;
  readonly keyObject: KeyObject;
}

/** A private key that decrypts. `alg`, if set, is the only key management algorithm it is used with. */
export interface DecryptionKey {
  readonly kid?: string | undefined;
  readonly alg?: string | undefined;
  readonly keyObject: KeyObject;
}

/** A private key that signs with one algorithm under one `kid`. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly keyObject: KeyObject;
}

const publicKeyObjects = new WeakMap<PublicJwk, KeyObject>();

/** Judges a public JWK (unless it comes from `judgePublicJwk`) and imports it for verification. */
export function importVerificationKey(jwk: PublicJwk, alg?: string): VerificationKey {
  const judged = judgedFor(jwk, 'sig', alg);
  return {
    kid: judged.kid,
    alg: alg ?? judged.jwk.alg,
    keyObject: publicKeyObjectOf(judged),
  };
}

/** Imports a private JWK for decryption after judging its public half. */
export function importDecryptionKey(jwk: PrivateJwk, alg?: string): DecryptionKey {
  const judged = judgedFor(publicHalf(jwk), 'enc', alg);
  return { kid: judged.kid, alg: alg ?? judged.jwk.alg, keyObject: privateKeyObject(jwk, judged) };
}

/** Imports a private JWK for signing after judging its public half. `alg` and `kid` must be known. */
export function importSigningKey(jwk: PrivateJwk, alg: string | undefined = jwk.alg): SigningKey {
  const judged = judgedFor(publicHalf(jwk), 'sig', alg);
  if (alg === undefined || judged.kid === undefined) {
    throw new CryptoError('crypto.invalid_key', { field: 'alg', message: 'A signing key has alg and kid.' });
  }
  return { kid: judged.kid, alg, keyObject: privateKeyObject(jwk, judged) };
}

/**
 * Imports a symmetric JWK. Only for callers that also name a symmetric algorithm in their allow
 * list; no door of Gatehouse accepts one by default.
 */
export function importSymmetricKey(jwk: OctJwk, use: KeyUse): VerificationKey & DecryptionKey {
  if (jwk.kty !== 'oct') throw new CryptoError('crypto.invalid_key', { field: 'kty', message: 'kty is "oct".' });
  if (jwk.use !== undefined && jwk.use !== use) {
    throw new CryptoError('crypto.invalid_key', { field: 'use', message: `The key is not for "${use}".` });
  }
  const bytes = tryDecodeBase64Url(jwk.k);
  if (bytes === undefined || bytes.length < 16) {
    throw new CryptoError('crypto.weak_key', { field: 'k', message: 'k is at least 16 bytes in strict base64url.' });
  }
  return { kid: jwk.kid, alg: jwk.alg, keyObject: createSecretKey(bytes) };
}

/** The key object of a judged public key, made once per JWK object. */
export function publicKeyObjectOf(judged: JudgedKey): KeyObject {
  const known = publicKeyObjects.get(judged.jwk);
  if (known !== undefined) return known;
  const keyObject = importing(() => createPublicKey({ key: judged.jwk as unknown as JsonWebKey, format: 'jwk' }));
  publicKeyObjects.set(judged.jwk, keyObject);
  return keyObject;
}

/** The verdict on a JWK, reused when the object came from `judgePublicJwk` for the same use. */
export function judgedFor(jwk: PublicJwk, use: KeyUse, alg?: string): JudgedKey {
  const known = judgedKeyOf(jwk);
  const fits = known?.use === use && (alg === undefined || known.algorithms.includes(alg));
  return known !== undefined && fits ? known : judgePublicJwk(jwk, alg === undefined ? { use } : { use, alg });
}

/** The public half without `key_ops`, which names private operations in a private JWK. */
function publicHalf(jwk: PrivateJwk): PublicJwk {
  const { key_ops: _privateOperations, ...rest } = publicJwkOf(jwk);
  return rest;
}

/** Neither Node nor OpenSSL checks that the private members belong to the public ones: we do, once. */
function privateKeyObject(jwk: PrivateJwk, judged: JudgedKey): KeyObject {
  return importing(() => {
    const privateKey = createPrivateKey({ key: jwk as unknown as JsonWebKey, format: 'jwk' });
    if (!isPair(privateKey, publicKeyObjectOf(judged))) throw new Error('not a pair');
    return privateKey;
  });
}

const probe = new TextEncoder().encode('gatehouse key pair check');

function isPair(privateKey: KeyObject, publicKey: KeyObject): boolean {
  if (privateKey.asymmetricKeyType === 'x25519') {
    const other = generateKeyPairSync('x25519');
    const ours = diffieHellman({ privateKey, publicKey: other.publicKey });
    return ours.equals(diffieHellman({ privateKey: other.privateKey, publicKey }));
  }
  const hash = privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  return verify(hash, probe, publicKey, sign(hash, probe, privateKey));
}

/** OpenSSL's message may quote the key: it is not passed on. */
function importing(make: () => KeyObject): KeyObject {
  try {
    return make();
  } catch {
    throw new CryptoError('crypto.invalid_key', {
      message: 'The key cannot be imported: its members do not belong together.',
    });
  }
}
