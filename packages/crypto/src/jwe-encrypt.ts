import { constants, createCipheriv, generateKeyPairSync, type KeyObject, publicEncrypt } from 'node:crypto';
import { encodeBase64Url } from './base64url.ts';
import { toBytes } from './bytes.ts';
import { agreeKey, wrapKey } from './ecdh-es.ts';
import { CryptoError } from './errors.ts';
import type { PublicJwk } from './jwk.ts';
import { judgedFor, publicKeyObjectOf } from './key-objects.ts';
import { systemRandomBytes } from './random.ts';

/** Key management algorithms this package writes. RSA with SHA-1 only when asked for by name. */
export type EncryptAlgorithm = 'RSA-OAEP-256' | 'RSA-OAEP' | 'ECDH-ES+A256KW';

/** What is encrypted, and to whom. */
export interface EncryptJweInput {
  /** The recipient's public key; judged here unless it comes from `judgePublicJwk`. */
  readonly jwk: PublicJwk;
  readonly plaintext: Uint8Array | string;
  /** Default: the key's own `alg`, else RSA-OAEP-256 for RSA and ECDH-ES+A256KW for EC and X25519. */
  readonly alg?: EncryptAlgorithm;
  /** Default: the key's own `kid`. */
  readonly kid?: string;
  readonly cty?: string;
  readonly typ?: string;
}

/**
 * Encrypts to one recipient as a compact JWE (RFC 7516 §7.1) with A256GCM.
 *
 * @throws CryptoError `crypto.invalid_key`, `crypto.weak_key`, `crypto.private_key_exposed`
 * @example const jwe = encryptCompactJwe({ jwk, plaintext: 'user secret' });
 */
export function encryptCompactJwe(input: EncryptJweInput): string {
  const judged = judgedFor(input.jwk, 'enc', input.alg);
  const alg = input.alg ?? writtenAlgorithm(judged.jwk);
  const kid = input.kid ?? judged.kid;
  const contentKey = systemRandomBytes(32);
  const wrapped =
    alg === 'ECDH-ES+A256KW'
      ? wrapByAgreement(alg, publicKeyObjectOf(judged), contentKey)
      : { encryptedKey: wrapByRsa(alg, publicKeyObjectOf(judged), contentKey), parameters: {} };
  const header = {
    alg,
    enc: 'A256GCM',
    ...(input.typ === undefined ? {} : { typ: input.typ }),
    ...(input.cty === undefined ? {} : { cty: input.cty }),
    ...(kid === undefined ? {} : { kid }),
    ...wrapped.parameters,
  };
  const headerPart = encodeBase64Url(toBytes(JSON.stringify(header)));
  const nonce = systemRandomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', contentKey, nonce, { authTagLength: 16 });
  cipher.setAAD(Buffer.from(headerPart, 'latin1'));
  const ciphertext = Buffer.concat([cipher.update(toBytes(input.plaintext)), cipher.final()]);
  return [headerPart, ...[wrapped.encryptedKey, nonce, ciphertext, cipher.getAuthTag()].map(encodeBase64Url)].join('.');
}

function writtenAlgorithm(jwk: PublicJwk): EncryptAlgorithm {
  if (jwk.kty !== 'RSA') {
    if (jwk.alg !== undefined && jwk.alg !== 'ECDH-ES+A256KW') throw notWritten(jwk.alg);
    return 'ECDH-ES+A256KW';
  }
  // A key that names RSA-OAEP would be taken for SHA-256 by mistake: the caller must name SHA-1.
  if (jwk.alg !== undefined && jwk.alg !== 'RSA-OAEP-256') throw notWritten(jwk.alg);
  return 'RSA-OAEP-256';
}

function notWritten(alg: string): CryptoError {
  return new CryptoError('crypto.algorithm_not_allowed', {
    field: 'alg',
    message: `The recipient's key is for ${alg}, which is not written by default. Use RSA-OAEP-256 or ECDH-ES+A256KW.`,
  });
}

function wrapByRsa(alg: 'RSA-OAEP' | 'RSA-OAEP-256', key: KeyObject, contentKey: Uint8Array): Uint8Array {
  const oaepHash = alg === 'RSA-OAEP' ? 'sha1' : 'sha256';
  return publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, contentKey);
}

function wrapByAgreement(alg: 'ECDH-ES+A256KW', key: KeyObject, contentKey: Uint8Array) {
  const none = new Uint8Array();
  const ephemeral = ephemeralPairFor(key);
  const { kty, crv, x, y } = ephemeral.publicKey.export({ format: 'jwk' });
  const wrappingKey = agreeKey(ephemeral.privateKey, key, { algorithmId: alg, apu: none, apv: none, keyBits: 256 });
  const epk = y === undefined ? { kty, crv, x } : { kty, crv, x, y };
  return { encryptedKey: wrapKey(wrappingKey, contentKey), parameters: { epk } };
}

/** One-time keys take 30-60 µs on these curves, so they are made at once. */
function ephemeralPairFor(key: KeyObject): { publicKey: KeyObject; privateKey: KeyObject } {
  const namedCurve = key.asymmetricKeyDetails?.namedCurve;
  return namedCurve === undefined ? generateKeyPairSync('x25519') : generateKeyPairSync('ec', { namedCurve });
}
