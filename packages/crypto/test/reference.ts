/**
 * The written formats once more, from their description alone and on other primitives than `src/`:
 * what the vectors are made with, so that `src/` is not checked against itself.
 */
import { createCipheriv, hkdfSync } from 'node:crypto';

/** Seals as the comment of `sealing.ts` says. */
export function referenceSeal(
  key: Uint8Array,
  plaintext: Uint8Array,
  placeJson: string,
  nonce: Uint8Array,
  keyId: string,
): Uint8Array {
  const id = Buffer.from(keyId);
  const header = Buffer.concat([Buffer.from('GHS'), Buffer.of(1, id.length), id]);
  const aad = Buffer.concat([header, Buffer.from(placeJson)]);
  return Buffer.concat([header, nonce, gcm(key, nonce, aad, plaintext)]);
}

/** What a writer who knows the secret might do against the format. */
export interface Malformed {
  /** Commits to another key; the chunks are sealed over that header. */
  readonly commitment?: Uint8Array;
  /** Ends in an empty chunk after full ones. */
  readonly emptyLastChunk?: boolean;
}

/** Writes a user-data message as the comment of `user-data.ts` says. `contextJson` is canonical. */
export function referenceUserData(
  secret: Uint8Array,
  plaintext: Uint8Array,
  contextJson: string,
  salt: Uint8Array,
  malformed: Malformed = {},
): Uint8Array {
  const derived = Buffer.from(hkdfSync('sha256', secret, salt, Buffer.from(contextJson), 64));
  const header = Buffer.concat([Buffer.from('GHU'), Buffer.of(1), salt, malformed.commitment ?? derived.subarray(32)]);
  const aad = Buffer.concat([header, Buffer.from(contextJson)]);
  const count = Math.max(1, Math.ceil(plaintext.length / 65_536)) + (malformed.emptyLastChunk === true ? 1 : 0);
  const chunks = Array.from({ length: count }, (_, i) => {
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(i, 7);
    nonce.writeUInt8(i === count - 1 ? 1 : 0, 11);
    return gcm(derived.subarray(0, 32), nonce, aad, plaintext.subarray(i * 65_536, (i + 1) * 65_536));
  });
  return Buffer.concat([header, ...chunks]);
}

function gcm(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}
