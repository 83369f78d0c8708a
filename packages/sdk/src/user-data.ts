/**
 * Data at rest under a user's secret: AES-256-GCM in chunks, a versioned header, bound to user and purpose. The format
 * is described at the top of the crypto package's `user-data.ts` and in this package's README.
 */
import {
  decryptForUser as decrypt,
  decryptStreamForUser as decryptStream,
  encryptForUser as encrypt,
  encryptStreamForUser as encryptStream,
  isCryptoError,
  type UserDataContext,
  type UserSecret,
} from '@gatehouse/crypto';
import { GatehouseError } from './errors.ts';

export type { UserDataContext, UserSecret } from '@gatehouse/crypto';

/**
 * Encrypts for one user and purpose.
 *
 * @example
 * const secret = await secrets.secretFor(accessToken);
 * const stored = await encryptForUser(secret, bytes, { user: user.subject, purpose: 'records/file' });
 */
export async function encryptForUser(
  secret: UserSecret,
  plaintext: Uint8Array | string,
  context: UserDataContext,
): Promise<Uint8Array> {
  try {
    return await encrypt(secret, plaintext, context);
  } catch (error) {
    throw dataError(error);
  }
}

/** Decrypts what `encryptForUser` made for the same secret, user and purpose; else rejects with `data_cannot_open`. */
export async function decryptForUser(
  secret: UserSecret,
  message: Uint8Array,
  context: UserDataContext,
): Promise<Uint8Array> {
  try {
    return await decrypt(secret, message, context);
  } catch (error) {
    throw dataError(error);
  }
}

/** The same for data of any length, in constant memory. */
export async function* encryptStreamForUser(
  secret: UserSecret,
  plaintext: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  context: UserDataContext,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* encryptStream(secret, plaintext, context);
  } catch (error) {
    throw dataError(error);
  }
}

/**
 * Decrypts a stream. Every part is authentic and in its place, but only the end of the generator says that nothing is
 * missing: do not act on the data before it has finished.
 */
export async function* decryptStreamForUser(
  secret: UserSecret,
  message: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  context: UserDataContext,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* decryptStream(secret, message, context);
  } catch (error) {
    throw dataError(error);
  }
}

/** Errors of the caller's own source (a broken upload, a full disk) pass unchanged. */
function dataError(error: unknown): unknown {
  if (!isCryptoError(error)) return error;
  return error.code === 'crypto.cannot_decrypt'
    ? new GatehouseError('data_cannot_open', 'The stored data cannot be opened with this user secret and context.')
    : new GatehouseError('configuration_invalid', error.message);
}
