/** One program, started anew when its environment changes, and whatever is sent to us passed on to it. */
import { type Child, type Program, type StopOptions, startChild } from './child.ts';
import type { Exit } from './exit.ts';
import { startGuard } from './guard.ts';
import { endFamily } from './processes.ts';

/** Signals that end a program which does not say otherwise, and us while there is none to pass them to. */
const endingSignals: ReadonlySet<NodeJS.Signals> = new Set(['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP']);

/** See {@link createSupervisor}. */
export interface Supervisor {
  /**
   * Starts the program with this environment; one that runs is stopped first. Resolves when it runs, with undefined when
   * supervision has ended instead. One after the other.
   */
  start(environment: Readonly<Record<string, string>>): Promise<Child | undefined>;
  /** The program, while it runs. */
  running(): Child | undefined;
  /** Passes a signal on. `direct`: the program has got it already, only we must know. */
  signal(signal: NodeJS.Signals, direct?: boolean): void;
  /**
   * How the program ended, once it is not started again and nothing of it is left. Rejects when it could not be started.
   */
  readonly ended: Promise<Exit>;
  /** Somebody told the program to end, or us. */
  isEnding(): boolean;
  /** Gives up before anything was started. */
  abandon(): void;
}

/**
 * Supervises one program. Nothing is started before `start`. After SIGTERM has been passed on, the program is not
 * started anew: it may take its time to end.
 */
export function createSupervisor({
  program,
  foreground,
  stop,
  marker,
  onExit,
  now,
}: {
  program: Program;
  foreground: boolean;
  stop: StopOptions;
  /** Random, of this agent alone. */
  marker: string;
  /** The program ended by itself. When this is done and nobody has called `start`, supervision ends with that exit. */
  onExit: (exit: Exit) => void | Promise<void>;
  now: () => number;
}): Supervisor {
  const guard = startGuard({ marker, stopSignal: stop.signal, graceMs: stop.graceMs });
  const { promise: ended, resolve, reject } = Promise.withResolvers<Exit>();
  const replaced = new WeakSet<Child>();
  let child: Child | undefined;
  let isEnding = false;
  let isSwitching = false;
  let isOver = false;
  let starts = 0;
  let queue: Promise<unknown> = Promise.resolve();

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = queue.then(work);
    queue = result.catch(() => undefined);
    return result;
  };

  const finish = (exit: Exit) => {
    isOver = true;
    guard.release();
    resolve(exit);
  };

  const startNow = async (next: Readonly<Record<string, string>>): Promise<Child | undefined> => {
    if (isOver || isEnding) return undefined;
    starts += 1;
    isSwitching = true;
    try {
      if (child) {
        replaced.add(child);
        const exit = await child.stop(stop);
        child = undefined;
        // Somebody wanted an end while we were between two starts: it has come.
        if (isEnding) {
          finish(exit);
          return undefined;
        }
      }
      const started = await startChild({ program, environment: next, marker, foreground, now });
      child = started;
      guard.watch(started.family.group);
      void started.exited.then((exit) => over(started, exit)).catch(fail);
      return started;
    } catch (error) {
      fail(error);
      throw error;
    } finally {
      isSwitching = false;
    }
  };

  const over = async (ended: Child, exit: Exit): Promise<void> => {
    if (replaced.has(ended)) return;
    await inTurn(() => endFamily(ended.family, { deadlineMs: now() + stop.graceMs, now }));
    if (child !== ended) return;
    child = undefined;
    guard.watch(undefined);
    if (isEnding) return finish(exit);
    const startsBefore = starts;
    await onExit(exit);
    if (!isOver && starts === startsBefore) finish(exit);
  };

  const fail = (error: unknown) => {
    isOver = true;
    guard.release();
    reject(error);
  };

  ended.catch(() => undefined);
  return {
    ended,
    abandon() {
      isOver = true;
      guard.release();
    },
    start: (next) => inTurn(() => startNow(next)),
    running: () => child,
    isEnding: () => isEnding,
    signal(signal, direct = false) {
      if (signal === 'SIGTERM' || (isSwitching && endingSignals.has(signal))) isEnding = true;
      if (child) {
        if (!direct) child.signal(signal);
      } else if (endingSignals.has(signal) && !isOver) {
        isEnding = true;
        if (!isSwitching) finish({ signal });
      }
    },
  };
}
