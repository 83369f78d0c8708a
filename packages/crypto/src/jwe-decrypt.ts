/** Compact JWE in (RFC 7516 §5.2): one strict door, one error for whatever fails behind the header. */
import { constants, createDecipheriv, createPublicKey, type JsonWebKey, privateDecrypt } from 'node:crypto';
import { compactDecrypt } from 'jose';
import {
  type ContentAlgorithm,
  defaultContentAlgorithms,
  defaultKeyManagementAlgorithms,
  type KeyManagementAlgorithm,
} from './algorithms.ts';
import { tryDecodeBase64Url } from './base64url.ts';
import { ownBytes } from './bytes.ts';
import { type HeaderExpectations, parseHeader, splitCompact, type TokenHeader } from './compact.ts';
import { agreeKey, unwrapKey } from './ecdh-es.ts';
import { CryptoError } from './errors.ts';
import { judgePublicJwk } from './judge-jwk.ts';
import type { DecryptionKey } from './key-objects.ts';
import { systemRandomBytes } from './random.ts';

/** How a token is decrypted. */
export interface DecryptJweOptions extends HeaderExpectations {
  /** Finds the private key, usually by `kid`. The header is not yet trusted. */
  readonly findKey: (
    kid: string | undefined,
    header: TokenHeader,
  ) => DecryptionKey | undefined | Promise<DecryptionKey | undefined>;
  /** Allow list of `alg`. Default: RSA-OAEP-256, ECDH-ES+A256KW. */
  readonly algorithms?: readonly KeyManagementAlgorithm[];
  /** Allow list of `enc`. Default: A256GCM. */
  readonly contentAlgorithms?: readonly ContentAlgorithm[];
  /** Longest token in bytes. Default 1 MiB. */
  readonly maxBytes?: number;
}

/** A decrypted token. */
export interface DecryptedJwe {
  readonly header: TokenHeader;
  readonly plaintext: Uint8Array;
}

/**
 * Decrypts a compact JWE. What is wrong with the form or the header (all of it public) is told;
 * everything behind it (unknown key, wrong key, changed key, nonce, ciphertext or tag) is one error,
 * `crypto.cannot_decrypt`, after the same work: a content key that cannot be recovered is replaced
 * by a random one and the content decryption runs all the same (RFC 7516 §11.5).
 *
 * @throws CryptoError `crypto.invalid_jwe`, `crypto.too_large`, `crypto.algorithm_not_allowed`,
 *   `crypto.cannot_decrypt`
 */
export async function decryptCompactJwe(token: string, options: DecryptJweOptions): Promise<DecryptedJwe> {
  const {
    findKey,
    algorithms = defaultKeyManagementAlgorithms,
    contentAlgorithms = defaultContentAlgorithms,
    maxBytes = 1_048_576,
  } = options;
  const parts = splitCompact(token, 5, maxBytes, 'crypto.invalid_jwe');
  const [headerPart = '', ...binaryParts] = parts;
  const header = parseHeader(headerPart, options, 'crypto.invalid_jwe');
  assertAllowed(header, 'alg', algorithms);
  assertAllowed(header, 'enc', contentAlgorithms);
  const [encryptedKey, nonce, ciphertext, tag] = binaryParts.map((part) => {
    const bytes = tryDecodeBase64Url(part);
    if (bytes === undefined)
      throw new CryptoError('crypto.invalid_jwe', { message: 'A part is not strict base64url.' });
    return bytes;
  }) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const key = await findKey(header.kid, header);
  if (key === undefined || !isForToken(key, header)) throw new CryptoError('crypto.cannot_decrypt');
  const gcmKeyBytes = gcmKeyLengths[header.enc ?? ''];
  if (gcmKeyBytes === undefined || !isDirectlyComputed(header.alg))
    return { header, plaintext: await byJose(token, key, header) };
  const { contentKey, plaintext } = withoutStackTraces(() => {
    const recovered = recoverContentKey(header, key, encryptedKey, gcmKeyBytes);
    const used = recovered ?? systemRandomBytes(gcmKeyBytes);
    return { contentKey: recovered, plaintext: openContent(used, { nonce, ciphertext, tag, headerPart }) };
  });
  if (plaintext === undefined || contentKey === undefined) throw new CryptoError('crypto.cannot_decrypt');
  return { header, plaintext };
}

/** The key decides: one that names an algorithm is used with no other. With `dir` it names the content's. */
function isForToken({ alg }: DecryptionKey, header: TokenHeader): boolean {
  return alg === undefined || alg === (header.alg === 'dir' ? header.enc : header.alg);
}

/**
 * Runs `work` while thrown errors record no stack. A stack costs some 15 µs, so a failure that throws
 * twice inside (key, then content) would be told from one that throws once. `work` is synchronous.
 */
function withoutStackTraces<T>(work: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return work();
  } finally {
    Error.stackTraceLimit = limit;
  }
}

const gcmKeyLengths: Readonly<Record<string, number>> = { A128GCM: 16, A192GCM: 24, A256GCM: 32 };

function isDirectlyComputed(alg: string): boolean {
  return alg === 'RSA-OAEP-256' || alg === 'RSA-OAEP' || alg === 'ECDH-ES' || alg.startsWith('ECDH-ES+');
}

function assertAllowed(header: TokenHeader, name: 'alg' | 'enc', allowed: readonly string[]): void {
  const value = header[name];
  if (typeof value !== 'string' || !allowed.includes(value)) {
    throw new CryptoError('crypto.algorithm_not_allowed', {
      field: name,
      message: `The ${name} of the token is not accepted. Accepted: ${allowed.join(', ')}.`,
    });
  }
}

/** The content key, or undefined when it cannot be recovered; never an error that says why. */
function recoverContentKey(
  header: TokenHeader,
  key: DecryptionKey,
  encryptedKey: Uint8Array,
  length: number,
): Uint8Array | undefined {
  try {
    const contentKey = header.alg.startsWith('RSA-')
      ? unwrapByRsa(header.alg, key, encryptedKey)
      : unwrapByAgreement(header, key, encryptedKey, length);
    return contentKey.length === length ? contentKey : undefined;
  } catch {
    return undefined;
  }
}

function unwrapByRsa(alg: string, { keyObject }: DecryptionKey, encryptedKey: Uint8Array): Uint8Array {
  const oaepHash = alg === 'RSA-OAEP' ? 'sha1' : 'sha256';
  return privateDecrypt({ key: keyObject, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, encryptedKey);
}

function unwrapByAgreement(
  header: TokenHeader,
  { keyObject }: DecryptionKey,
  encryptedKey: Uint8Array,
  length: number,
): Uint8Array {
  const epk = judgePublicJwk(header.epk, { use: 'enc' });
  const publicKey = createPublicKey({ key: epk.jwk as unknown as JsonWebKey, format: 'jwk' });
  const apu = partyInfo(header.apu);
  const apv = partyInfo(header.apv);
  if (header.alg === 'ECDH-ES') {
    if (encryptedKey.length !== 0) throw new CryptoError('crypto.cannot_decrypt');
    return agreeKey(keyObject, publicKey, { algorithmId: header.enc ?? '', apu, apv, keyBits: length * 8 });
  }
  const keyBits = Number(header.alg.slice('ECDH-ES+A'.length, -'KW'.length));
  return unwrapKey(agreeKey(keyObject, publicKey, { algorithmId: header.alg, apu, apv, keyBits }), encryptedKey);
}

function partyInfo(value: unknown): Uint8Array {
  const bytes = value === undefined ? new Uint8Array() : tryDecodeBase64Url(value);
  if (bytes === undefined || bytes.length > 256) throw new CryptoError('crypto.cannot_decrypt');
  return bytes;
}

interface Content {
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
  readonly headerPart: string;
}

/** AES-GCM with 96-bit nonces and 128-bit tags (RFC 7518 §5.3), or undefined when it does not open. */
function openContent(contentKey: Uint8Array, { nonce, ciphertext, tag, headerPart }: Content): Uint8Array | undefined {
  if (nonce.length !== 12 || tag.length !== 16) return undefined;
  const algorithm = `aes-${contentKey.length * 8}-gcm` as 'aes-256-gcm';
  const decipher = createDecipheriv(algorithm, contentKey, nonce, { authTagLength: 16 });
  decipher.setAAD(Buffer.from(headerPart, 'latin1'));
  decipher.setAuthTag(tag);
  try {
    return ownBytes(Buffer.concat([decipher.update(ciphertext), decipher.final()]));
  } catch {
    return undefined;
  }
}

/** The rarely used algorithms: `jose`, for correctness. Its reasons are not passed on. */
async function byJose(token: string, key: DecryptionKey, header: TokenHeader): Promise<Uint8Array> {
  try {
    const { plaintext } = await compactDecrypt(token, key.keyObject, {
      keyManagementAlgorithms: [header.alg],
      contentEncryptionAlgorithms: [header.enc ?? ''],
    });
    return plaintext;
  } catch {
    throw new CryptoError('crypto.cannot_decrypt');
  }
}
