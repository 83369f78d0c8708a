/**
 * The same bytes as a plain Uint8Array that owns its memory. Node's small Buffers share one pool;
 * a view on it would let `.buffer` reach bytes that belong to others.
 */
export function ownBytes(buffer: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer: memory, byteLength } = buffer;
  if (memory instanceof ArrayBuffer && memory.byteLength === byteLength) return new Uint8Array(memory);
  return new Uint8Array(buffer);
}

/** UTF-8 bytes of a string, or the bytes themselves. */
export function toBytes(value: Uint8Array | string): Uint8Array {
  return typeof value === 'string' ? new TextEncoder().encode(value) : value;
}

/** Big-endian bytes as a non-negative integer. */
export function bytesToBigInt(bytes: Uint8Array): bigint {
  let hex = '';
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0');
  return hex === '' ? 0n : BigInt(`0x${hex}`);
}

/** Little-endian bytes as a non-negative integer (RFC 7748 §5). */
export function littleEndianToBigInt(bytes: Uint8Array): bigint {
  return bytesToBigInt(Uint8Array.from(bytes).toReversed());
}

/** Number of bits of a non-negative integer. */
export function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}
