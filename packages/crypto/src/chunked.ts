/** A run of bytes of known place. */
export interface Chunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly isLast: boolean;
}

/**
 * Cuts a stream of parts of any sizes into chunks of exactly `size` bytes, the last of which may be
 * shorter; the first has `firstSize` bytes if given. A chunk is held back until it is known whether
 * another byte follows. A stream of no bytes is one empty last chunk.
 */
export async function* chunked(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  size: number,
  firstSize = size,
): AsyncGenerator<Chunk, void, undefined> {
  let pending = new Uint8Array(firstSize);
  let filled = 0;
  for await (const part of source) {
    for (let offset = 0; offset < part.length; ) {
      if (filled === pending.length) {
        yield { bytes: pending, isLast: false };
        pending = new Uint8Array(size);
        filled = 0;
      }
      const taken = part.subarray(offset, offset + pending.length - filled);
      pending.set(taken, filled);
      filled += taken.length;
      offset += taken.length;
    }
  }
  yield { bytes: filled === pending.length ? pending : pending.slice(0, filled), isLast: true };
}
