import { pbkdf2, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import * as argon2 from '@node-rs/argon2';

/** A password hash as text: ours (argon2id, PHC form), or one that was imported from another system. */
export interface ParsedHash {
  /** True when it has our algorithm and at least our cost: nothing to upgrade. */
  readonly current: boolean;
  readonly algorithm: 'argon2' | 'bcrypt' | 'scrypt' | 'pbkdf2';
  verify(password: string): Promise<boolean>;
}

/** OWASP's parameters for argon2id: 19 MiB, 2 passes, 1 lane. */
export const argon2Parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

const argon2id = 2; // `Algorithm.Argon2id`, which is a const enum and so not there at run time

/** Bytes of bcrypt's input that count; the rest it ignores silently. */
const bcryptMaxBytes = 72;
/**
 * Bounds of imported hashes: what one check may cost, about a second. All organizations share two places for hashing,
 * and whoever imports a hash chooses how long its checks hold one of them.
 */
const maxBcryptCost = 14;
const maxMemoryBytes = 256 * 1024 * 1024;
/** Memory times passes (argon2) or lanes (scrypt). */
const maxWorkBytes = 2 * maxMemoryBytes;
const maxIterations = 2_000_000;
const maxOutputBytes = 64;

const scryptAsync: (password: string, salt: Buffer, length: number, options: object) => Promise<Buffer> =
  promisify(scrypt);
const pbkdf2Async = promisify(pbkdf2);

/** Hashes with argon2id. The password is already normalised. */
export async function hashArgon2id(password: string, salt: Uint8Array): Promise<string> {
  // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- the enum cannot be named, see above
  return argon2.hash(password, { ...argon2Parameters, algorithm: argon2id, salt });
}

/** Reads a hash; undefined when it is of no kind we know or its cost is out of bounds. */
export function parseHash(hash: string): ParsedHash | undefined {
  if (hash.length > 512) return undefined;
  if (/^\$argon2(id|i|d)\$/.test(hash)) return parseArgon2(hash);
  if (/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) return parseBcrypt(hash);
  return parseScrypt(hash) ?? parsePbkdf2(hash);
}

function parseArgon2(hash: string): ParsedHash | undefined {
  let found: ReturnType<typeof argon2.parseOptions>;
  try {
    found = argon2.parseOptions(hash);
  } catch {
    return undefined;
  }
  const { memoryCost, timeCost, parallelism, outputLen } = found;
  const memory = memoryCost * 1024;
  if (memory > maxMemoryBytes || memory * timeCost > maxWorkBytes || timeCost > 64) return undefined;
  if (parallelism > 16 || outputLen < 16) return undefined;
  return {
    algorithm: 'argon2',
    current:
      (found.algorithm as number) === argon2id &&
      memoryCost >= argon2Parameters.memoryCost &&
      timeCost >= argon2Parameters.timeCost,
    verify: (password) => argon2.verify(hash, password),
  };
}

function parseBcrypt(hash: string): ParsedHash | undefined {
  const cost = Number(hash.slice(4, 6));
  if (cost < 4 || cost > maxBcryptCost) return undefined;
  return {
    algorithm: 'bcrypt',
    current: false,
    async verify(password) {
      // Beyond 72 bytes bcrypt cannot tell one password from another, so such a one is not accepted on its word.
      const fits = Buffer.byteLength(password) <= bcryptMaxBytes;
      const bcrypt = await import('@node-rs/bcrypt'); // loaded by the first imported account
      const matches = await bcrypt.verify(password, hash);
      return fits && matches;
    },
  };
}

/** `$scrypt$ln=16,r=8,p=1$salt$hash` */
function parseScrypt(hash: string): ParsedHash | undefined {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,2})\$([^$]+)\$([^$]+)$/.exec(hash);
  if (!match) return undefined;
  const [N, r, p] = [2 ** Number(match[1]), Number(match[2]), Number(match[3])];
  const salt = decodePhc(match[4]);
  const expected = decodePhc(match[5]);
  const memory = 128 * N * r;
  if (N < 2 || r < 1 || p < 1 || memory > maxMemoryBytes || memory * p > maxWorkBytes) return undefined;
  if (!salt || !isDigest(expected)) return undefined;
  return {
    algorithm: 'scrypt',
    current: false,
    async verify(password) {
      const options = { N, r, p, maxmem: maxMemoryBytes + 1024 * 1024 };
      return timingSafeEqual(await scryptAsync(password, salt, expected.length, options), expected);
    },
  };
}

/** `$pbkdf2-sha256$i=600000$salt$hash` (PHC), or with the bare number of passlib. */
function parsePbkdf2(hash: string): ParsedHash | undefined {
  const match = /^\$pbkdf2-(sha256|sha512|sha1)\$(?:i=)?(\d{1,8})(?:,l=\d{1,3})?\$([^$]+)\$([^$]+)$/.exec(hash);
  if (!match) return undefined;
  const iterations = Number(match[2]);
  const salt = decodePhc(match[3]);
  const expected = decodePhc(match[4]);
  const digest = match[1] as string;
  if (iterations < 1000 || iterations > maxIterations || !salt || !isDigest(expected)) return undefined;
  return {
    algorithm: 'pbkdf2',
    current: false,
    verify: async (password) =>
      timingSafeEqual(await pbkdf2Async(password, salt, iterations, expected.length, digest), expected),
  };
}

function isDigest(bytes: Buffer | undefined): bytes is Buffer {
  return bytes !== undefined && bytes.length >= 16 && bytes.length <= maxOutputBytes;
}

/** Base64 without padding; passlib writes `.` for `+`. */
function decodePhc(text: string | undefined): Buffer | undefined {
  if (text === undefined || !/^[A-Za-z0-9+/.]{2,256}={0,2}$/.test(text)) return undefined;
  return Buffer.from(text.replaceAll('.', '+'), 'base64');
}
