import type { Random } from '../../../kernel/index.ts';
import { createHashingQueue } from './hashing-queue.ts';
import { hashArgon2id, parseHash } from './password-hash.ts';
import { assertPassword, normalizePassword } from './password-policy.ts';

/** Hashing and checking of passwords, off the event loop and never inside a transaction. */
export interface Passwords {
  /** Judges a new password by the policy (`context`: user name, organization) and hashes it. */
  hashNew(password: string, context: readonly string[], field?: string): Promise<string>;
  /** Judges only: for a plan of what will be hashed later. */
  assertNew(password: string, context: readonly string[], field?: string): void;
  /** Hashes without judging. */
  hash(password: string): Promise<string>;
  /**
   * Checks a password. Without a hash (no such user, no password) it works as long as with one and says no.
   * `upgradedHash`: the same password in our own form, when the stored hash is an imported or an older one.
   */
  verify(hash: string | undefined, password: string): Promise<{ ok: boolean; upgradedHash?: string }>;
}

/** At once, per process: measured, two use both cores and leave two of libuv's four threads to everything else. */
const concurrency = 2;
/** Behind them: about two seconds of work. */
const maxWaiting = 100;
/** Longer input is not hashed at all; no password is that long (see passwordPolicy). */
const maxInputBytes = 4096;

/** Of 32 random bytes that nobody kept, with our own parameters: what an unknown user is checked against. */
const dummyHash = '$argon2id$v=19$m=19456,t=2,p=1$9BLonyY01FTfZiBcx9Vdiw$LWav1xternJ4I8iAruZfAwo8cVH26nFYT478LJcwlUQ';

/** Creates the hashing of this process. */
export function createPasswords({ random }: { random: Pick<Random, 'bytes'> }): Passwords {
  const queued = createHashingQueue({ concurrency, maxWaiting });
  const hash = (password: string) => queued(() => hashArgon2id(normalizePassword(password), random.bytes(16)));
  return {
    hash,
    assertNew: assertPassword,
    async hashNew(password, context, field) {
      assertPassword(password, context, field);
      return hash(password);
    },
    async verify(stored, password) {
      const input = Buffer.byteLength(password) <= maxInputBytes ? password : '';
      const parsed = stored === undefined ? undefined : parseHash(stored);
      const target = parsed ?? parseHash(dummyHash);
      // An imported hash was made of the password as typed; ours of its normal form.
      const form = parsed && parsed.algorithm !== 'argon2' ? input : normalizePassword(input);
      const matches = (await queued(async () => target?.verify(form))) ?? false;
      const ok = matches && parsed !== undefined && input === password;
      return ok && !parsed.current ? { ok, upgradedHash: await hash(password) } : { ok };
    },
  };
}
