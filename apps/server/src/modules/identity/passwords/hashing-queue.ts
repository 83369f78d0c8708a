import { AppError } from '../../../kernel/index.ts';

/**
 * At most `concurrency` hashes at once and `maxWaiting` behind them; beyond that 503 at once. Hashing shares the four
 * libuv threads with signing, files and DNS: unbounded, a login storm would stop everything else.
 */
export function createHashingQueue({ concurrency, maxWaiting }: { concurrency: number; maxWaiting: number }) {
  const waiting: (() => void)[] = [];
  let running = 0;

  return async function run<T>(work: () => Promise<T>): Promise<T> {
    if (running >= concurrency) {
      if (waiting.length >= maxWaiting) {
        throw new AppError('identity.busy', {
          detail: 'Many people are signing in at the moment. Try again in a few seconds.',
          headers: { 'retry-after': '2' },
        });
      }
      // Whoever finishes hands its place on, so `running` does not change for one that waited.
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
