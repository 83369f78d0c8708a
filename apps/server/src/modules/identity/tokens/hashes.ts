import { createHash, hkdfSync } from 'node:crypto';

/**
 * The key of a row that belongs to a bearer value (a code, a refresh token, a browser session id): SHA-256 over a
 * label and the value. The values carry 256 random bits, so a plain hash cannot be turned back.
 */
export function bearerHash(label: string, value: string): Buffer {
  return createHash('sha256').update(label).update('\0').update(value).digest();
}

/** A key that only whoever holds the bearer value can derive (HKDF-SHA256, RFC 5869): not in any dump of the database. */
export function bearerKey(value: string, info: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', value, 'gatehouse', info, 32));
}
