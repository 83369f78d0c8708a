/**
 * @gatehouse/crypto: the formats and doors that every part of Gatehouse shares. Canonical and strict
 * JSON, sealing at rest, judged keys, compact JWS and JWE, user data under a user secret.
 * It owns no keys, no clock and no storage; keyrings live in the server's module `keys`.
 *
 * Invariants: algorithms come from allow lists given as arguments, with narrow defaults; every
 * failure is a `CryptoError` with a stable `code`; behind a JWE header, a seal or a user-data header
 * there is one error, whatever failed.
 */
export {
  type ContentAlgorithm,
  contentAlgorithms,
  defaultContentAlgorithms,
  defaultKeyManagementAlgorithms,
  defaultSignatureAlgorithms,
  type KeyManagementAlgorithm,
  keyManagementAlgorithms,
  type SignatureAlgorithm,
  signatureAlgorithms,
} from './algorithms.ts';
export { decodeBase64Url, encodeBase64Url, tryDecodeBase64Url } from './base64url.ts';
export { canonicalJson, canonicalJsonBytes } from './canonical-json.ts';
export type { HeaderExpectations, TokenHeader } from './compact.ts';
export { CryptoError, type CryptoErrorCode, cryptoErrorMessages, isCryptoError } from './errors.ts';
export {
  type GeneratedKeyPair,
  type GenerateKeyPairOptions,
  generateKeyPair,
  type KeyPairAlgorithm,
  keyPairAlgorithms,
} from './generate-key-pair.ts';
export {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  type ParseJsonOptions,
  parseJsonObjectStrict,
  parseJsonStrict,
} from './json.ts';
export {
  type JudgedJwks,
  type JudgedKey,
  type JudgeJwksOptions,
  type JudgeOptions,
  judgeJwks,
  judgePublicJwk,
} from './judge-jwk.ts';
export { type DecryptedJwe, type DecryptJweOptions, decryptCompactJwe } from './jwe-decrypt.ts';
export { type EncryptAlgorithm, type EncryptJweInput, encryptCompactJwe } from './jwe-encrypt.ts';
export {
  type EcPublicJwk,
  type Jwks,
  type KeyUse,
  type OctJwk,
  type OkpPublicJwk,
  type PrivateJwk,
  type PublicJwk,
  publicJwkOf,
  type RsaPublicJwk,
} from './jwk.ts';
export { type SignJwsInput, signCompactJws, type VerifiedJws, type VerifyJwsOptions, verifyCompactJws } from './jws.ts';
export {
  type JwtClaims,
  maxSkewSeconds,
  parseJwtClaims,
  type VerifyClaimsOptions,
  verifyJwt,
  verifyJwtClaims,
} from './jwt-claims.ts';
export {
  type DecryptionKey,
  importDecryptionKey,
  importSigningKey,
  importSymmetricKey,
  importVerificationKey,
  type SigningKey,
  type VerificationKey,
} from './key-objects.ts';
export { publicJwkToPem } from './pem.ts';
export { type RandomBytes, systemRandomBytes } from './random.ts';
export { openBytes, placeAad, type SealPlace, sealBytes, sealedKeyId } from './sealing.ts';
export { jwkThumbprint } from './thumbprint.ts';
export {
  decryptForUser,
  decryptStreamForUser,
  type EncryptForUserOptions,
  encryptForUser,
  encryptStreamForUser,
  type UserDataContext,
  type UserSecret,
  userDataChunkBytes,
} from './user-data.ts';
