/** `gatehouse agent`: files and commands of several targets, kept up to date with several namespaces. */
import { isDeepStrictEqual } from 'node:util';
import type { ConfigurationVersion, FollowerOptions } from '@gatehouse/sdk';
import { CliError } from '../errors.ts';
import type { Target } from './agent-file.ts';
import { runCommand } from './command.ts';
import { createFirstStart } from './first-start.ts';
import { pause, watchHealth } from './health.ts';
import { RenderError, type RenderedTarget, renderTarget } from './render-target.ts';
import { writeRendered } from './rendered-file.ts';
import type { Reports } from './reports.ts';
import type { Say } from './say.ts';

/** How targets are kept. */
export interface TargetsOptions {
  readonly namespaces: readonly string[];
  readonly targets: readonly Target[];
  /** Only write the files: no command, no probe. */
  readonly once: boolean;
}

/** The targets of one agent. */
export interface TargetsRunner {
  readonly apply: FollowerOptions['apply'];
  useReports(reports: Reports): void;
  /** Ends commands and probes. */
  close(): void;
}

/** What is known of a target: not yet, well, or what is wrong. */
type Health = 'unknown' | 'well' | { readonly problem: string };

interface TargetState {
  readonly target: Target;
  health: Health;
  watching: AbortController;
  /** Since when it is not up to date, and when that was last renewed, milliseconds. */
  dirty: { readonly sinceMs: number; lastMs: number } | undefined;
  /** Its command did not succeed: it is due again. */
  isDue: boolean;
  /** As it was written last. */
  rendered: RenderedTarget | undefined;
}

/** Makes them; nothing is written before each namespace was handed over once. */
export function createTargetsRunner(
  { namespaces, targets, once }: TargetsOptions,
  {
    own,
    say,
    now,
    random,
  }: { own: Readonly<Record<string, string>>; say: Say; now: () => number; random: () => number },
): TargetsRunner {
  const closing = new AbortController();
  const states = targets.map(
    (target): TargetState => ({
      target,
      health: 'unknown',
      watching: new AbortController(),
      dirty: undefined,
      isDue: target.files.length === 0,
      rendered: undefined,
    }),
  );
  /** What may be written: handed over, and with leave of the server. */
  const versions = new Map<string, ConfigurationVersion>();
  /** What was written. */
  const written = new Map<string, number>();
  let reports: Reports | undefined;
  let queue: Promise<unknown> = Promise.resolve();

  const report: Reports['report'] = (...what) => reports?.report(...what) ?? Promise.resolve();
  const statesOf = (namespace: string) => states.filter(({ target }) => target.namespaces.includes(namespace));
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = queue.then(work);
    queue = result.catch(() => undefined);
    return result;
  };

  /** Tells what is known of each written version: well when all its targets are, not well when one is not. */
  const tellHealth = () => {
    for (const [namespace, version] of written) {
      const its = statesOf(namespace);
      const bad = its.find(({ health }) => typeof health === 'object');
      if (bad && typeof bad.health === 'object') {
        void report(namespace, version, 'unhealthy', `target ${bad.target.name}: ${bad.health.problem}`);
      } else if (its.every(({ health }) => health === 'well')) void report(namespace, version, 'healthy');
    }
  };

  /**
   * Renders every target of a namespace without writing, and tells whether anything is to be done. What cannot be
   * rendered is refused as a whole.
   */
  const changesOf = (version: ConfigurationVersion): boolean => {
    const candidate = new Map(versions).set(version.namespace, version);
    let isChange = false;
    for (const { target, rendered, isDue } of statesOf(version.namespace)) {
      if (!target.namespaces.every((name) => candidate.has(name))) continue;
      try {
        const next = renderTarget(target, (name) => candidate.get(name)?.values ?? {});
        isChange ||= isDue || !isDeepStrictEqual(next, rendered);
      } catch (error) {
        if (!(error instanceof RenderError)) throw error;
        throw new CliError('cli.configuration_refused', `${version.namespace} ${version.version}: ${error.message}`);
      }
    }
    return isChange;
  };

  /** Waits until the targets of a namespace are quiet, then a random time, so that hosts do not go in step. */
  const awaitQuiet = async (namespace: string, signal: AbortSignal) => {
    const its = statesOf(namespace);
    for (const state of its) {
      const nowMs = now();
      if (state.dirty) state.dirty.lastMs = nowMs;
      else state.dirty = { sinceMs: nowMs, lastMs: nowMs };
    }
    for (;;) {
      const waitMs = Math.max(0, ...its.map((state) => quietInMs(state, now())));
      if (waitMs === 0) break;
      if (!(await pause(waitMs, signal))) throw signal.reason;
    }
    const splayMs = Math.max(0, ...its.map(({ target }) => target.splayMs));
    if (splayMs > 0 && !(await pause(random() * splayMs, signal))) throw signal.reason;
  };

  const bringUpToDate = async (state: TargetState): Promise<void> => {
    const { target } = state;
    const rendered = renderTarget(target, (name) => versions.get(name)?.values ?? {});
    let isChanged = false;
    for (const file of rendered.files) {
      if (!(await writeRendered(file))) continue;
      isChanged = true;
      say.info(`${target.name}: wrote ${file.path}`);
    }
    state.dirty = undefined;
    state.rendered = rendered;
    if (once || (!isChanged && !state.isDue && state.health !== 'unknown')) return;
    state.watching.abort();
    state.watching = new AbortController();
    state.health = 'unknown';
    const problem = isChanged || state.isDue ? await runItsCommand(state, rendered) : undefined;
    if (closing.signal.aborted) return;
    state.health = problem !== undefined ? { problem } : target.health ? 'unknown' : 'well';
    if (problem !== undefined) say.warning(`target ${target.name}: ${problem}`);
    else if (target.health) watchTarget(state, { ...own, ...rendered.environment });
  };

  const runItsCommand = async (state: TargetState, rendered: RenderedTarget): Promise<string | undefined> => {
    const { command, files } = state.target;
    if (!command) return undefined;
    const problem = await runCommand(command.argv, {
      timeoutMs: command.timeoutMs,
      environment: { ...own, ...rendered.environment },
      output: 'stderr',
      signal: closing.signal,
    });
    state.isDue = problem !== undefined || files.length === 0;
    return problem === undefined ? undefined : `command ${command.argv[0]}: ${problem}`;
  };

  const watchTarget = (state: TargetState, environment: Readonly<Record<string, string>>) => {
    const { health, name } = state.target;
    if (!health) return;
    void watchHealth({
      health,
      environment,
      signal: AbortSignal.any([state.watching.signal, closing.signal]),
      now,
      onChange: (problem) => {
        state.health = problem === undefined ? 'well' : { problem };
        if (problem !== undefined) say.warning(`target ${name} is not well: ${problem}`);
        tellHealth();
      },
    });
  };

  const write = async (its: readonly TargetState[]): Promise<void> => {
    for (const state of its) await bringUpToDate(state);
    for (const { namespace, version } of versions.values()) written.set(namespace, version);
  };

  const firstStart = createFirstStart({ namespaces, versions, start: () => inTurn(() => write(states)) });

  return {
    useReports: (given) => (reports = given),
    close: () => closing.abort(),
    async apply(version, { signal }) {
      const { namespace } = version;
      try {
        const isChange = changesOf(version);
        void report(namespace, version.version, 'received');
        if (firstStart.isStarted() && isChange) {
          await awaitQuiet(namespace, signal);
          await reports?.awaitSlot(namespace, version.version, signal);
        }
        versions.set(namespace, version);
        if (firstStart.isStarted()) await inTurn(() => write(statesOf(namespace)));
        else await firstStart.arrive(namespace, signal);
      } catch (error) {
        if (error instanceof CliError) void report(namespace, version.version, 'rejected', error.message);
        throw error;
      }
      void report(namespace, version.version, 'applied');
      tellHealth();
    },
  };
}

/** How long a target has still to be quiet: `waitMs` since the last change, but not beyond `atMostMs` since the first. */
function quietInMs({ target, dirty }: TargetState, nowMs: number): number {
  if (!dirty) return 0;
  const { waitMs, atMostMs } = target.quiescence;
  return Math.max(0, Math.min(dirty.lastMs + waitMs, dirty.sinceMs + atMostMs) - nowMs);
}
