/**
 * User data: what a backend stores, readable only with that user's secret. WebCrypto throughout, so
 * Node and browsers run the same code.
 *
 * Format, version 1 (all lengths in bytes):
 *
 *      0   3  magic "GHU"
 *      3   1  version, 0x01
 *      4  32  salt, random
 *     36  32  commitment to the key
 *     68   .  chunks, one or more: AES-256-GCM ciphertext of 65,536 bytes (the last: 0 to 65,536)
 *             followed by its tag of 16 bytes
 *
 * context     = canonical JSON of {format: "gatehouse/user-data/1", user, purpose, organization?}
 * key || commitment = HKDF-SHA-256(ikm = user secret, salt, info = context), 64 bytes
 * nonce of chunk i  = i as 11 bytes big-endian || 0x01 for the last chunk, 0x00 for the others
 * associated data of every chunk = header (68 bytes) || context
 *
 * A fresh salt gives each message its own key, so counted nonces never repeat (as in STREAM,
 * Hoang et al., CRYPTO 2015). The flag shows truncation, the counter reordering and duplication. The
 * commitment ties a message to one key: AES-GCM alone would let a crafted message open under two.
 * Only a message of no bytes at all has an empty last chunk, so every message has one spelling.
 */
import { tryDecodeBase64Url } from './base64url.ts';
import { canonicalJsonBytes } from './canonical-json.ts';
import { chunked } from './chunked.ts';
import { CryptoError } from './errors.ts';
import { type RandomBytes, systemRandomBytes } from './random.ts';

type Bytes = Uint8Array<ArrayBuffer>;

const magic = [0x47, 0x48, 0x55, 0x01] as const;
const saltEnd = 36;
const headerBytes = 68;
const tagBytes = 16;
/** Plaintext bytes of every chunk but the last. */
export const userDataChunkBytes = 65_536;
const sealedChunkBytes = userDataChunkBytes + tagBytes;

/** The secret of one user for one audience: 32 bytes, or their base64url as the secret server gives it. */
export type UserSecret = Uint8Array | string;

/** Whose data it is, and what for. Both sides must say the same; none of it is stored. */
export interface UserDataContext {
  /** The user's id (`sub`). */
  readonly user: string;
  /** What the data is, for example `records/file`. Data for one purpose does not open for another. */
  readonly purpose: string;
  /** Set it where user ids are unique only within an organization. */
  readonly organization?: string;
}

/** Choices for encryption. */
export interface EncryptForUserOptions {
  /** Source of the salt; tests give a seeded one. Default: the platform's. */
  readonly randomBytes?: RandomBytes;
}

/**
 * Encrypts for one user and purpose.
 *
 * @example const stored = await encryptForUser(secret, bytes, { user: 'alice-uid', purpose: 'records/file' });
 */
export async function encryptForUser(
  secret: UserSecret,
  plaintext: Uint8Array | string,
  context: UserDataContext,
  options: EncryptForUserOptions = {},
): Promise<Bytes> {
  const bytes = typeof plaintext === 'string' ? new TextEncoder().encode(plaintext) : plaintext;
  const chunkCount = Math.max(1, Math.ceil(bytes.length / userDataChunkBytes));
  const message = new Uint8Array(headerBytes + bytes.length + chunkCount * tagBytes);
  let offset = 0;
  for await (const part of encryptStreamForUser(secret, [bytes], context, options)) {
    message.set(part, offset);
    offset += part.length;
  }
  return message;
}

/**
 * Decrypts what `encryptForUser` or `encryptStreamForUser` made for the same secret, user, purpose
 * and organization.
 *
 * @throws CryptoError `crypto.cannot_decrypt`, whatever is wrong with the message
 */
export async function decryptForUser(
  secret: UserSecret,
  message: Uint8Array,
  context: UserDataContext,
): Promise<Bytes> {
  const plaintext = new Uint8Array(Math.max(0, message.length - headerBytes));
  let length = 0;
  for await (const part of decryptStreamForUser(secret, [message], context)) {
    plaintext.set(part, length);
    length += part.length;
  }
  return plaintext.slice(0, length);
}

/**
 * The same for data of any length, in constant memory: takes parts of any sizes, gives the header
 * and then one encrypted chunk at a time. Up to 2^53 chunks.
 */
export async function* encryptStreamForUser(
  secret: UserSecret,
  plaintext: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  context: UserDataContext,
  { randomBytes = systemRandomBytes }: EncryptForUserOptions = {},
): AsyncGenerator<Bytes, void, undefined> {
  const info = contextBytes(context);
  const header = new Uint8Array(headerBytes);
  header.set(magic);
  header.set(saltFrom(randomBytes), magic.length);
  const { key, commitment } = await deriveKey(secret, header.slice(magic.length, saltEnd), info);
  header.set(commitment, saltEnd);
  const additionalData = concat(header, info);
  yield header;
  let index = 0;
  for await (const { bytes, isLast } of chunked(plaintext, userDataChunkBytes)) {
    const iv = nonceOf(index, isLast);
    yield new Uint8Array(await subtle.encrypt({ name: 'AES-GCM', iv, additionalData }, key, bytes));
    index += 1;
  }
}

/**
 * Decrypts a stream. Each part given out is authentic and in its place, but only the end of the
 * generator says that nothing is missing: **do not act on the data before it has finished**.
 *
 * @throws CryptoError `crypto.cannot_decrypt`, whatever is wrong with the message
 */
export async function* decryptStreamForUser(
  secret: UserSecret,
  message: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  context: UserDataContext,
): AsyncGenerator<Bytes, void, undefined> {
  const info = contextBytes(context);
  let opened: { key: CryptoKey; additionalData: Bytes } | undefined;
  let index = 0;
  for await (const { bytes, isLast } of chunked(message, sealedChunkBytes, headerBytes)) {
    if (opened === undefined) {
      if (isLast) throw cannotDecrypt();
      opened = await openHeader(secret, bytes, info);
      continue;
    }
    // An empty chunk may only stand alone: otherwise a message would have two spellings.
    if (bytes.length < tagBytes || (bytes.length === tagBytes && index > 0)) throw cannotDecrypt();
    const { key, additionalData } = opened;
    const algorithm = { name: 'AES-GCM', iv: nonceOf(index, isLast), additionalData };
    const plaintext = await subtle.decrypt(algorithm, key, bytes).catch(() => undefined);
    if (plaintext === undefined) throw cannotDecrypt();
    yield new Uint8Array(plaintext);
    index += 1;
  }
}

const { subtle } = globalThis.crypto;
type CryptoKey = Awaited<ReturnType<typeof importAesKey>>;

async function openHeader(secret: UserSecret, header: Bytes, info: Bytes) {
  if (!magic.every((byte, i) => header[i] === byte)) throw cannotDecrypt();
  const { key, commitment } = await deriveKey(secret, header.slice(magic.length, saltEnd), info);
  if (!equalBytes(commitment, header.subarray(saltEnd))) throw cannotDecrypt();
  return { key, additionalData: concat(header, info) };
}

async function deriveKey(secret: UserSecret, salt: Bytes, info: Bytes) {
  const inputKey = await subtle.importKey('raw', secretBytes(secret), 'HKDF', false, ['deriveBits']);
  const bits = await subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, inputKey, 512);
  const derived = new Uint8Array(bits);
  return { key: await importAesKey(derived.slice(0, 32)), commitment: derived.slice(32) };
}

async function importAesKey(bytes: Bytes) {
  return subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt']);
}

function secretBytes(secret: UserSecret): Bytes {
  const bytes = typeof secret === 'string' ? tryDecodeBase64Url(secret) : secret;
  if (bytes?.length !== 32) {
    throw new CryptoError('crypto.invalid_argument', {
      field: 'secret',
      message: 'A user secret is 32 bytes, or those 32 bytes in base64url without padding.',
    });
  }
  return new Uint8Array(bytes);
}

function contextBytes(context: UserDataContext): Bytes {
  const { user, purpose, organization } = context;
  for (const [field, value] of Object.entries({ user, purpose, organization })) {
    const isAbsent = field === 'organization' && value === undefined;
    if (!isAbsent && (typeof value !== 'string' || value === '' || value.length > 1024 || !value.isWellFormed())) {
      throw new CryptoError('crypto.invalid_argument', {
        field,
        message: `${field} is a string of 1 to 1024 characters.`,
      });
    }
  }
  const format = 'gatehouse/user-data/1';
  return canonicalJsonBytes({ format, user, purpose, ...(organization === undefined ? {} : { organization }) });
}

function saltFrom(randomBytes: RandomBytes): Uint8Array {
  const salt = randomBytes(saltEnd - magic.length);
  if (salt.length !== saltEnd - magic.length) {
    throw new CryptoError('crypto.invalid_argument', {
      field: 'randomBytes',
      message: 'randomBytes gave too few bytes.',
    });
  }
  return salt;
}

function nonceOf(index: number, isLast: boolean): Bytes {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(3, BigInt(index));
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

function concat(a: Uint8Array, b: Uint8Array): Bytes {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** Comparison in constant time. */
function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i += 1) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

function cannotDecrypt(): CryptoError {
  return new CryptoError('crypto.cannot_decrypt');
}
