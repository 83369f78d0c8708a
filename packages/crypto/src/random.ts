/** Gives `count` random bytes. The server hands in its kernel's source, tests a seeded one. */
export type RandomBytes = (count: number) => Uint8Array;

/** The platform's cryptographic randomness (WebCrypto, so the same in Node and in browsers). */
export function systemRandomBytes(count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count);
  // getRandomValues takes at most 65,536 bytes a call.
  for (let offset = 0; offset < count; offset += 65_536) {
    globalThis.crypto.getRandomValues(bytes.subarray(offset, Math.min(count, offset + 65_536)));
  }
  return bytes;
}
