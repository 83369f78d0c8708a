/** `gatehouse run`: one program with the configuration as its environment, kept up to date. */
import type { ConfigurationVersion, FollowerOptions } from '@gatehouse/sdk';
import { CliError } from '../errors.ts';
import type { Child, Program, StopOptions } from './child.ts';
import { environmentOf, environmentProblems, sameEnvironment } from './environment.ts';
import { type Exit, exitText } from './exit.ts';
import { createFirstStart } from './first-start.ts';
import { type HealthOptions, pause, watchHealth } from './health.ts';
import type { Reports } from './reports.ts';
import type { Say } from './say.ts';
import { createSupervisor, type Supervisor } from './supervisor.ts';

/** What a new version does to a program that runs. */
export type Watch =
  | { readonly kind: 'restart' }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly kind: 'none' };

/** How a program is run. */
export interface RunOptions {
  readonly program: Program;
  /** The later ones count where several have a key. */
  readonly namespaces: readonly string[];
  readonly watch: Watch;
  readonly stop: StopOptions;
  /** Start it again however it ended. */
  readonly restartOnExit: boolean;
  readonly health: HealthOptions;
  /** How long a program that a change has ended waits for the next version, before its exit is ours. */
  readonly holdMs: number;
  /** At a terminal: the program stays in our group. */
  readonly foreground: boolean;
}

/** Waits of a program that ends again and again, milliseconds; one that ran this long starts anew at the first. */
const againMs = { first: 1000, longest: 30_000, resetAfter: 60_000 } as const;
/** How long the end of the program waits for the report about it, milliseconds. */
const lastReportMs = 3000;

/** A program under supervision, before it has a configuration. */
export interface ProgramRunner {
  /** What a follower is to be made with. */
  readonly apply: FollowerOptions['apply'];
  readonly supervisor: Supervisor;
  /** Reports go here from now on. */
  useReports(reports: Reports): void;
  /** Tells the server of an end that somebody wanted; one that nobody wanted it knows already. */
  reportEnd(exit: Exit): void;
}

/** Makes one; nothing runs before `apply` was called for each namespace. */
export function createProgramRunner(
  options: RunOptions,
  { own, marker, say, now }: { own: Readonly<Record<string, string>>; marker: string; say: Say; now: () => number },
): ProgramRunner {
  const { namespaces, health, watch } = options;
  const supervisor = createSupervisor({
    program: options.program,
    foreground: options.foreground,
    stop: options.stop,
    marker,
    onExit: (exit) => afterExit(exit),
    now,
  });
  let reports: Reports | undefined;
  /** The versions that the program runs with, or is about to. */
  const versions = new Map<string, ConfigurationVersion>();
  let environment: Record<string, string> = {};
  let startedMs = 0;
  let isProven = false;
  let isChange = false;
  let crashes = 0;
  let watching = new AbortController();
  let waiting = new AbortController();

  const report: Reports['report'] = (...what) => reports?.report(...what) ?? Promise.resolve();
  const reportAll = (state: 'healthy' | 'unhealthy', reason?: string) => {
    for (const { namespace, version } of versions.values()) void report(namespace, version, state, reason);
  };
  const environmentWith = (candidate: ReadonlyMap<string, ConfigurationVersion>) =>
    environmentOf(
      own,
      namespaces.map((namespace) => candidate.get(namespace)?.values ?? {}),
    );

  /** Starts, or starts anew; then watches whether it is well. */
  const start = async (next: Record<string, string>, becauseOfChange: boolean): Promise<Child | undefined> => {
    watching.abort();
    waiting.abort();
    waiting = new AbortController();
    environment = next;
    isProven = false;
    isChange = becauseOfChange;
    const child = await supervisor.start(next);
    if (!child) return undefined;
    watchFrom(child, next);
    return child;
  };

  const watchFrom = (child: Child, its: Readonly<Record<string, string>>) => {
    startedMs = now();
    watching.abort();
    watching = new AbortController();
    const { signal } = watching;
    void child.exited.then(() => supervisor.running() === child && watching.abort());
    void watchHealth({
      health,
      environment: its,
      signal,
      now,
      onChange: (problem) => {
        isProven ||= problem === undefined;
        if (problem === undefined) reportAll('healthy');
        else {
          say.warning(`the program is not well with ${names()}: ${problem}`);
          reportAll('unhealthy', problem);
        }
      },
    });
  };

  const names = () => [...versions.values()].map(({ namespace, version }) => `${namespace} ${version}`).join(', ');

  const afterExit = async (exit: Exit): Promise<void> => {
    watching.abort();
    const ranMs = now() - startedMs;
    const problem = `the program ended with ${exitText(exit)} after ${(ranMs / 1000).toFixed(1)} s`;
    const held = isChange && !isProven && options.holdMs > 0;
    // A job that is done is well; a service that a change has ended is not, whatever its exit code.
    const isDone = 'code' in exit && exit.code === 0 && (!isChange || isProven);
    if (!isDone) {
      reportAll('unhealthy', problem);
      await reports?.flush(lastReportMs);
    }
    if (options.restartOnExit) {
      crashes = ranMs >= againMs.resetAfter ? 0 : crashes + 1;
      const waitMs = Math.min(againMs.longest, againMs.first * 2 ** Math.max(0, crashes - 1));
      say.warning(`${problem}; it is started again in ${waitMs / 1000} s`);
      if (await pause(waitMs, waiting.signal)) await start(environment, false);
      return;
    }
    if (held) {
      say.warning(`${problem}, with ${names()}; waiting ${options.holdMs / 1000} s for another version`);
      await pause(options.holdMs, waiting.signal);
    }
  };

  const firstStart = createFirstStart({
    namespaces,
    versions,
    start: () => start(environmentWith(versions), false),
  });

  const change = async (version: ConfigurationVersion, signal: AbortSignal): Promise<void> => {
    const { namespace } = version;
    const isSame = () => sameEnvironment(environmentWith(new Map(versions).set(namespace, version)), environment);
    if (supervisor.running() && !isSame()) {
      await reports?.awaitSlot(namespace, version.version, signal);
    }
    const wasRunning = supervisor.running() !== undefined;
    const unchanged = isSame();
    versions.set(namespace, version);
    const next = environmentWith(versions);
    if (wasRunning && unchanged) return;
    say.info(`${namespace} ${version.version}: ${version.changedKeys.length} keys changed`);
    if (watch.kind === 'signal' && wasRunning) {
      // Its environment stays that of its start; with --restart-on-exit the next start gets the new one.
      environment = next;
      supervisor.signal(watch.signal);
      const child = supervisor.running();
      if (child) watchFrom(child, next);
    } else await start(next, true);
  };

  return {
    supervisor,
    useReports: (given) => (reports = given),
    reportEnd(exit) {
      if (!supervisor.isEnding() && !('code' in exit && exit.code === 0)) return;
      for (const { namespace, version } of versions.values()) void report(namespace, version, 'stopped');
    },
    async apply(version, { signal }) {
      const { namespace, values } = version;
      const problems = environmentProblems(values);
      if (problems.length > 0) {
        const reason = problems.slice(0, 5).join('; ');
        void report(namespace, version.version, 'rejected', reason);
        throw new CliError('cli.configuration_refused', `${namespace} ${version.version}: ${reason}`, {
          fix: 'rename the keys, or render the values into files: gatehouse agent',
        });
      }
      void report(namespace, version.version, 'received');
      if (firstStart.isStarted()) await change(version, signal);
      else {
        versions.set(namespace, version);
        await firstStart.arrive(namespace, signal);
      }
      void report(namespace, version.version, 'applied');
      if (isProven) void report(namespace, version.version, 'healthy');
    },
  };
}
