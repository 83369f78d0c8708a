import { createHash } from 'node:crypto';

/** Chance that a test can repeat. Structurally the kernel's `Random`. */
export interface SeededRandom {
  bytes(count: number): Uint8Array;
  uuid(): string;
  id(prefix: string): string;
}

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** The same values in the same order for the same seed: SHA-256 over the seed and a counter. Ids sort as they were made. */
export function createSeededRandom(seed: number | string): SeededRandom {
  let blocks = 0;
  let ids = 0;
  let pool = Buffer.alloc(0);
  const bytes = (count: number): Uint8Array => {
    while (pool.length < count) {
      pool = Buffer.concat([pool, createHash('sha256').update(`${seed}/${blocks}`).digest()]);
      blocks += 1;
    }
    const taken = new Uint8Array(pool.subarray(0, count));
    pool = pool.subarray(count);
    return taken;
  };
  return {
    bytes,
    uuid() {
      const value = Buffer.from(bytes(16));
      value[6] = ((value[6] ?? 0) & 0x0f) | 0x40; // Version 4 and variant, RFC 9562 §5.4.
      value[8] = ((value[8] ?? 0) & 0x3f) | 0x80;
      return value.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    },
    id(prefix) {
      let order = '';
      for (let rest = ids; order.length < 10; rest = Math.floor(rest / 32)) order = `${alphabet[rest % 32]}${order}`;
      ids += 1;
      return `${prefix}_${order}${[...bytes(16)].map((byte) => alphabet[byte & 31]).join('')}`;
    },
  };
}
