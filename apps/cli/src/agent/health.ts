/** Whether a program is well, watched from its start until somebody ends the watch. */
import { timerMs } from './durations.ts';
import { ask, type Probe, type ProbeAnswer } from './probes.ts';

/** How health is found out. The words and defaults are those of Docker's HEALTHCHECK, with shorter times. */
export interface HealthOptions {
  /** Without one a program is well that still runs after `settleMs`. */
  readonly probe?: Probe;
  readonly settleMs: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures in a row that make it unhealthy, once `startPeriodMs` is over or it was healthy before. */
  readonly retries: number;
  readonly startPeriodMs: number;
}

/** What nobody set. */
export const defaultHealth = {
  settleMs: 5000,
  intervalMs: 2000,
  timeoutMs: 2000,
  retries: 3,
  startPeriodMs: 10_000,
} as const;

/**
 * Watches until `signal` is aborted. `onChange` is told of each change, the first included: well (`undefined`) or why
 * not.
 */
export async function watchHealth({
  health,
  environment,
  signal,
  onChange,
  now,
}: {
  health: HealthOptions;
  /** For a command. */
  environment: Readonly<Record<string, string>>;
  signal: AbortSignal;
  onChange: (answer: ProbeAnswer) => void;
  now: () => number;
}): Promise<void> {
  if (!health.probe) {
    if (await pause(health.settleMs, signal)) onChange(undefined);
    return;
  }
  const startedMs = now();
  let known: 'unknown' | 'well' | 'unwell' = 'unknown';
  let failures = 0;
  while (!signal.aborted) {
    const answer = await ask(health.probe, { timeoutMs: health.timeoutMs, environment });
    if (signal.aborted) return;
    if (answer === undefined) {
      failures = 0;
      if (known !== 'well') onChange(undefined);
      known = 'well';
    } else if (known === 'well' || now() - startedMs >= health.startPeriodMs) {
      failures += 1;
      if (failures >= health.retries && known !== 'unwell') {
        known = 'unwell';
        onChange(answer);
      }
    }
    // A program that is just starting is asked more often: a rollout waits for it.
    const isStarting = known === 'unknown' && now() - startedMs < health.startPeriodMs;
    await pause(isStarting ? Math.min(250, health.intervalMs) : health.intervalMs, signal);
  }
}

/** Waits; false when the signal came first. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve(true);
    }, timerMs(milliseconds));
    const stop = () => {
      clearTimeout(timer);
      resolve(false);
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
