/**
 * Sealing: how the server keeps values at rest.
 *
 * Format, version 1 (all lengths in bytes):
 *
 *     0   3  magic "GHS"
 *     3   1  version, 0x01
 *     4   1  length L of the key id, 0-64
 *     5   L  key id, UTF-8: which key opens it (empty when the caller knows)
 *     .  12  nonce, random
 *     .   n  AES-256-GCM ciphertext
 *     .  16  AES-256-GCM tag
 *
 * The associated data is header (everything before the nonce) || the caller's associated data.
 * The header is self-delimiting, so the split is unambiguous. A value opens only with the same key,
 * in the same place. Random 96-bit nonces allow 2^32 values under one key (NIST SP 800-38D §8.3).
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { ownBytes } from './bytes.ts';
import { canonicalJsonBytes } from './canonical-json.ts';
import { CryptoError } from './errors.ts';
import type { RandomBytes } from './random.ts';

const magic = [0x47, 0x48, 0x53, 0x01] as const;
const fixedHeaderBytes = 5;
const nonceBytes = 12;
const tagBytes = 16;
const maxKeyIdBytes = 64;

/** Where a sealed value lives. A value moved to another place does not open. */
export interface SealPlace {
  readonly organization: string;
  readonly schema: string;
  readonly table: string;
  readonly rowId: string;
  readonly owner: string;
}

/** The associated data of a place: its canonical JSON. Unknown or missing members are refused. */
export function placeAad(place: SealPlace): Uint8Array {
  const { organization, schema, table, rowId, owner } = place;
  for (const [field, value] of Object.entries({ organization, schema, table, rowId, owner })) {
    if (typeof value !== 'string' || value === '') {
      throw new CryptoError('crypto.invalid_argument', {
        field,
        message: `${field} of a place is a non-empty string.`,
      });
    }
  }
  return canonicalJsonBytes({ organization, schema, table, row_id: rowId, owner });
}

/**
 * Seals `plaintext` with AES-256-GCM under `key` (32 bytes), bound to `aad`.
 * `keyId` is written in the clear so that the opener finds the key after a rotation.
 */
export function sealBytes(
  key: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
  randomBytes: RandomBytes,
  keyId = '',
): Uint8Array {
  assertKey(key);
  const id = Buffer.from(keyId, 'utf8');
  if (id.length > maxKeyIdBytes || !keyId.isWellFormed()) {
    throw new CryptoError('crypto.invalid_argument', {
      field: 'keyId',
      message: 'keyId is at most 64 bytes of UTF-8.',
    });
  }
  const nonce = randomBytes(nonceBytes);
  if (nonce.length !== nonceBytes) {
    throw new CryptoError('crypto.invalid_argument', {
      field: 'randomBytes',
      message: 'randomBytes gave too few bytes.',
    });
  }
  const header = Buffer.concat([Uint8Array.of(...magic, id.length), id]);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(header);
  cipher.setAAD(aad);
  return ownBytes(Buffer.concat([header, nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

/**
 * Opens what `sealBytes` made. Anything else (other key, other place, changed, shortened, not sealed
 * at all) throws `crypto.cannot_open`, always the same.
 */
export function openBytes(key: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Uint8Array {
  assertKey(key);
  const headerBytes = sealedHeaderBytes(sealed);
  if (headerBytes === undefined) throw new CryptoError('crypto.cannot_open');
  const nonceEnd = headerBytes + nonceBytes;
  const tagStart = sealed.length - tagBytes;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(headerBytes, nonceEnd), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(sealed.subarray(0, headerBytes));
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(tagStart));
  try {
    return ownBytes(Buffer.concat([decipher.update(sealed.subarray(nonceEnd, tagStart)), decipher.final()]));
  } catch {
    throw new CryptoError('crypto.cannot_open');
  }
}

/** The key id written in a sealed value. It is not authenticated until the value was opened. */
export function sealedKeyId(sealed: Uint8Array): string {
  const headerBytes = sealedHeaderBytes(sealed);
  if (headerBytes === undefined) throw new CryptoError('crypto.cannot_open');
  return Buffer.from(sealed.subarray(fixedHeaderBytes, headerBytes)).toString('utf8');
}

/** Length of the header, or undefined when these bytes are not a sealed value of version 1. */
function sealedHeaderBytes(sealed: Uint8Array): number | undefined {
  if (!magic.every((byte, i) => sealed[i] === byte)) return undefined;
  const idBytes = sealed[magic.length];
  if (idBytes === undefined || idBytes > maxKeyIdBytes) return undefined;
  const headerBytes = fixedHeaderBytes + idBytes;
  return sealed.length >= headerBytes + nonceBytes + tagBytes ? headerBytes : undefined;
}

function assertKey(key: Uint8Array): void {
  if (!(key instanceof Uint8Array) || key.length !== 32) {
    throw new CryptoError('crypto.invalid_argument', { field: 'key', message: 'key is 32 bytes (AES-256).' });
  }
}
