/** ECDH-ES key agreement (RFC 7518 §4.6, RFC 8037 §3.2) and AES key wrap (RFC 3394). */
import { createCipheriv, createDecipheriv, createHash, diffieHellman, type KeyObject } from 'node:crypto';
import { toBytes } from './bytes.ts';

/** What goes into the key derivation besides the shared secret. */
export interface ConcatKdfInput {
  /** `alg` for key wrapping, `enc` for direct agreement. */
  readonly algorithmId: string;
  readonly apu: Uint8Array;
  readonly apv: Uint8Array;
  readonly keyBits: number;
}

/** The agreed key: Concat KDF with SHA-256 (NIST SP 800-56A §5.8.1) over the ECDH secret. */
export function agreeKey(privateKey: KeyObject, publicKey: KeyObject, input: ConcatKdfInput): Uint8Array {
  const secret = diffieHellman({ privateKey, publicKey });
  const otherInfo = Buffer.concat([
    withLength(toBytes(input.algorithmId)),
    withLength(input.apu),
    withLength(input.apv),
    uint32(input.keyBits),
  ]);
  const rounds = Math.ceil(input.keyBits / 256);
  const blocks = Array.from({ length: rounds }, (_, i) =>
    createHash('sha256')
      .update(uint32(i + 1))
      .update(secret)
      .update(otherInfo)
      .digest(),
  );
  return Buffer.concat(blocks).subarray(0, input.keyBits / 8);
}

/** AES key wrap of a content key. */
export function wrapKey(wrappingKey: Uint8Array, contentKey: Uint8Array): Uint8Array {
  const cipher = createCipheriv(`id-aes${wrappingKey.length * 8}-wrap`, wrappingKey, initialValue);
  return Buffer.concat([cipher.update(contentKey), cipher.final()]);
}

/** AES key unwrap; throws when the integrity check fails. */
export function unwrapKey(wrappingKey: Uint8Array, wrapped: Uint8Array): Uint8Array {
  const decipher = createDecipheriv(`id-aes${wrappingKey.length * 8}-wrap`, wrappingKey, initialValue);
  return Buffer.concat([decipher.update(wrapped), decipher.final()]);
}

/** RFC 3394 §2.2.3.1. */
const initialValue = Buffer.alloc(8, 0xa6);

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function withLength(bytes: Uint8Array): Buffer {
  return Buffer.concat([uint32(bytes.length), bytes]);
}
