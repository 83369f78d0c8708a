import { constants } from 'node:os';

/** How a process ended: by itself with a code, or by a signal. */
export type Exit = { readonly code: number } | { readonly signal: NodeJS.Signals };

/** The code a shell shows for it: 128 and the number of the signal. */
export function exitCodeOf(exit: Exit): number {
  return 'code' in exit ? exit.code : 128 + (constants.signals[exit.signal] ?? 0);
}

/** For messages and reports: `exit code 3`, `SIGSEGV`. */
export function exitText(exit: Exit): string {
  return 'code' in exit ? `exit code ${exit.code}` : exit.signal;
}

/**
 * Ends this program as the child ended, so that whoever started us sees what it would have seen of the child. By a
 * signal means: with that signal, except as the first process of a container, which no default action can end.
 */
export async function endLike(exit: Exit): Promise<number> {
  if ('signal' in exit) {
    // Catching it once and no more leaves its default action, also for SIGPIPE, which Node ignores.
    if (exit.signal !== 'SIGKILL') process.once(exit.signal, () => undefined);
    process.removeAllListeners(exit.signal);
    process.kill(process.pid, exit.signal);
    // A signal that ends us does so before this; for the first process of a container it never comes.
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return exitCodeOf(exit);
}
