import { createHash } from 'node:crypto';
import { AppError, addSeconds, type Clock, type Db, type Tx } from '../../../kernel/index.ts';
import { deleteInBatches } from '../tokens/in-batches.ts';
import {
  countAttempt,
  countRefused,
  deleteOldThrottles,
  forgiveAttempts,
  isTrustedSource,
  type ThrottleLimits,
  takeBackAttempt,
} from './throttle-store.ts';

/**
 * How guessing is slowed down, for all nodes together. Waits grow and end; nobody is locked out for good, and a
 * session that lives is never touched. docs/guides/users-and-roles.md repeats these numbers.
 */
export const throttleLimits = {
  /** One account from one address: a person who mistypes, or a guesser. */
  pair: { free: 5, firstWaitSeconds: 1, maxWaitSeconds: 900, forgetSeconds: 86_400 },
  /** One account from all addresses it has not signed in from: a distributed guesser. */
  account: { free: 20, firstWaitSeconds: 1, maxWaitSeconds: 300, forgetSeconds: 86_400 },
  /** One address at all accounts: password spraying. Wide, because an office shares one address. */
  address: { free: 100, firstWaitSeconds: 1, maxWaitSeconds: 300, forgetSeconds: 3600 },
} as const satisfies Record<string, ThrottleLimits>;

/** An address from which the account signed in within this time does not wait for guesses made from elsewhere. */
export const trustedSourceSeconds = 30 * 86_400;

/** Whose guesses are counted. The subject is a folded user name, known or not, or the uid that re-authenticates. */
export interface Attempt {
  readonly subject: string;
  readonly address: string | undefined;
}

/** The throttle of one purpose (`sign-in`, `re-authentication`): its counters are its own. */
export function createThrottle({ db, clock, purpose }: { db: Db; clock: Clock; purpose: string }) {
  const keyOf = (...parts: string[]) =>
    createHash('sha256')
      .update(JSON.stringify([purpose, ...parts]))
      .digest();
  const keysOf = ({ subject, address }: Attempt) => ({
    pair: keyOf('pair', subject, networkOf(address)),
    account: keyOf('account', subject),
    address: keyOf('address', networkOf(address)),
  });

  return {
    /**
     * Counts an attempt before anything about the account is known, in a transaction of its own; throws 429 when it
     * has to wait. A refused attempt counts nowhere, so nobody can lengthen another's wait by knocking.
     * `onFirstRefusal` runs once in each wait: it writes the audit entry.
     */
    async admit(attempt: Attempt, onFirstRefusal: (tx: Tx) => Promise<void>): Promise<void> {
      const now = clock.now();
      const keys = keysOf(attempt);
      try {
        await db.transaction(async (tx) => {
          const trusted = await isTrustedSource(tx, keys.pair, now);
          // Locked in this order everywhere, so that two attempts never wait for each other.
          for (const kind of trusted ? (['address', 'pair'] as const) : (['address', 'account', 'pair'] as const)) {
            if (!(await countAttempt(tx, keys[kind], now, throttleLimits[kind]))) throw new MustWait(keys[kind]);
          }
        });
      } catch (error) {
        if (!(error instanceof MustWait)) throw error;
        const { key } = error;
        const until = await db.transaction(async (tx) => {
          const row = await countRefused(tx, key);
          if (row?.refused === 1) await onFirstRefusal(tx);
          return row?.blocked_until;
        });
        throw tooMany(until ?? now, now);
      }
    },
    /** The password was right: in the transaction that records it. */
    async succeeded(tx: Tx, attempt: Attempt): Promise<void> {
      const keys = keysOf(attempt);
      await takeBackAttempt(tx, keys.address, throttleLimits.address.free);
      await forgiveAttempts(tx, keys.account, undefined);
      await forgiveAttempts(tx, keys.pair, addSeconds(clock.now(), trustedSourceSeconds));
    },
    /** Deletes counters that are forgotten anyway; from time to time. */
    async sweep(): Promise<void> {
      const now = clock.now();
      await deleteInBatches(db, (tx) => deleteOldThrottles(tx, addSeconds(now, -2 * 86_400), now));
    },
  };
}

/** Rolls the counting back. */
class MustWait extends Error {
  readonly key: Buffer;
  constructor(key: Buffer) {
    super('too many attempts');
    this.key = key;
  }
}

/** The throttle of one purpose. */
export type Throttle = ReturnType<typeof createThrottle>;

function tooMany(until: Date, now: Date): AppError {
  const seconds = Math.max(1, Math.ceil((until.getTime() - now.getTime()) / 1000));
  return new AppError('identity.too_many_attempts', {
    detail: `Too many attempts. Try again in ${seconds} second(s).`,
    headers: { 'retry-after': String(seconds) },
  });
}

/** Who has one IPv6 address has a whole /64. */
function networkOf(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.split('%')[0]?.split('::') ?? [];
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
