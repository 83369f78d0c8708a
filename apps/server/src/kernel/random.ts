import { randomBytes, randomUUID } from 'node:crypto';

/** Where chance comes from. Everything that needs it takes one, so that a test can repeat it. */
export interface Random {
  /** `count` bytes from the system's generator. */
  bytes(count: number): Uint8Array;
  /** A random UUID (version 4). */
  uuid(): string;
  /** A new id: `<prefix>_` and 26 characters that sort by time of creation (48 bits of time, 80 bits of chance). */
  id(prefix: string): string;
}

/** The operating system's generator. */
export function createSystemRandom(): Random {
  return {
    bytes: (count) => new Uint8Array(randomBytes(count)),
    uuid: () => randomUUID(),
    id: (prefix) => `${prefix}_${timeOrdered(Date.now(), takeChance())}`,
  };
}

/** Ids are made several times a request, and each call of the generator costs more than the bytes it gives. */
const pool = { bytes: new Uint8Array(0), used: 0 };
const idChanceBytes = 10;

/** Ten fresh bytes; none is given out twice. */
function takeChance(): Uint8Array {
  if (pool.used + idChanceBytes > pool.bytes.length) {
    pool.bytes = randomBytes(idChanceBytes * 256);
    pool.used = 0;
  }
  const start = pool.used;
  pool.used += idChanceBytes;
  return pool.bytes.subarray(start, pool.used);
}

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** 26 characters of Crockford's base 32 in lower case: 10 of time (milliseconds), 16 of chance. */
export function timeOrdered(milliseconds: number, chance: Uint8Array): string {
  let time = '';
  let rest = milliseconds;
  for (let index = 0; index < 10; index += 1) {
    time = `${alphabet[rest % 32]}${time}`;
    rest = Math.floor(rest / 32);
  }
  // Two halves of 40 bits, eight characters each: whole numbers that a double holds exactly.
  return time + base32(chance, 0) + base32(chance, 5);
}

function base32(chance: Uint8Array, offset: number): string {
  let rest = 0;
  for (let index = 0; index < 5; index += 1) rest = rest * 256 + (chance[offset + index] ?? 0);
  let text = '';
  for (let index = 0; index < 8; index += 1) {
    text = `${alphabet[rest % 32]}${text}`;
    rest = Math.floor(rest / 32);
  }
  return text;
}
