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
    id: (prefix) => `${prefix}_${timeOrdered(Date.now(), randomBytes(10))}`,
  };
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
  let bits = 0n;
  for (const byte of chance) bits = (bits << 8n) | BigInt(byte);
  let tail = '';
  for (let index = 0; index < 16; index += 1) {
    tail = `${alphabet[Number(bits & 31n)]}${tail}`;
    bits >>= 5n;
  }
  return time + tail;
}
