/**
 * How long to wait before the next try: exponential, with full jitter, so that a thousand agents that lost their server
 * in one moment do not come back in one moment.
 */
import { setTimeout as wait } from 'node:timers/promises';

/** Bounds of the waiting. */
export interface BackOffOptions {
  /** The first wait is up to this. Default 1. */
  baseSeconds?: number;
  /** No wait is longer, but for a server that asks for more. Default 60. */
  capSeconds?: number;
}

/** Counts failures and says how long to wait. */
export interface BackOff {
  /** Failures since the last success. */
  readonly failures: number;
  /** Milliseconds to wait after one more failure; never less than what the server asked for, at most an hour. */
  next(retryAfterSeconds?: number): number;
  /** After a success. */
  reset(): void;
}

const maxRetryAfterSeconds = 3600;

/** Makes one; `random` gives numbers from 0 to 1. */
export function createBackOff(options: BackOffOptions & { random?: () => number } = {}): BackOff {
  const { baseSeconds = 1, capSeconds = 60, random = Math.random } = options;
  let failures = 0;
  return {
    get failures() {
      return failures;
    },
    next(retryAfterSeconds = 0) {
      const window = Math.min(capSeconds, baseSeconds * 2 ** Math.min(failures, 30));
      failures += 1;
      const asked = Math.min(Math.max(0, retryAfterSeconds), maxRetryAfterSeconds);
      return Math.round((asked + random() * window) * 1000);
    },
    reset() {
      failures = 0;
    },
  };
}

/** Waits, or rejects with the signal's reason as soon as that says so. */
export async function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  try {
    await wait(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
