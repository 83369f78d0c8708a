import { createHmac } from 'node:crypto';
import { openBytes, placeAad, type RandomBytes, type SealPlace, sealBytes } from '@gatehouse/crypto';

/**
 * The key that everything at rest hangs from. It wraps data keys and nothing else, and never leaves its provider.
 * `wrap` and `unwrap` may take a round trip to an HSM; data keys are therefore kept in memory once opened.
 */
export interface RootKey {
  /** Derived from the key: a wrong key is recognised without trying. */
  readonly id: string;
  wrap(place: SealPlace, plaintext: Uint8Array): Promise<Uint8Array>;
  /** Throws for anything `wrap` of this key did not make for this place. */
  unwrap(place: SealPlace, wrapped: Uint8Array): Promise<Uint8Array>;
}

/** The root key of this node and, while it is being replaced, the one before. */
export interface RootKeys {
  readonly current: RootKey;
  readonly previous: RootKey | undefined;
}

/** A root key held in memory: 32 bytes from a file or the environment. */
export function createRootKey(secret: Uint8Array, randomBytes: RandomBytes): RootKey {
  const key = new Uint8Array(secret);
  const id = rootKeyId(key);
  return {
    id,
    wrap: async (place, plaintext) => sealBytes(key, plaintext, placeAad(place), randomBytes, id),
    unwrap: async (place, wrapped) => openBytes(key, wrapped, placeAad(place)),
  };
}

/** 96 bits of HMAC-SHA-256 under the key: names it and tells nothing about it. */
export function rootKeyId(secret: Uint8Array): string {
  const digest = createHmac('sha256', secret).update('gatehouse root key id v1').digest();
  return `root_${digest.subarray(0, 12).toString('hex')}`;
}
