import { ownBytes } from './bytes.ts';
import { CryptoError } from './errors.ts';

/** Base64url without padding (RFC 7515 §2). */
export function encodeBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/**
 * Strict base64url (RFC 7515 §2): no padding, no whitespace, no other alphabet, no unused bits.
 * One byte string has one spelling, so a token cannot be respelled.
 */
export function decodeBase64Url(text: string, field = 'value'): Uint8Array<ArrayBuffer> {
  const bytes = tryDecodeBase64Url(text);
  if (bytes === undefined) {
    throw new CryptoError('crypto.invalid_base64url', {
      field,
      message: `${field} is not strict base64url: no padding, no whitespace, no unused bits.`,
    });
  }
  return bytes;
}

/** As `decodeBase64Url`, but undefined instead of an error. */
export function tryDecodeBase64Url(text: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = Buffer.from(text, 'base64url');
  // Node's decoder is lenient; encoding again and comparing accepts exactly the canonical spelling.
  if (bytes.toString('base64url') !== text) return undefined;
  return ownBytes(bytes);
}
