/**
 * Follows one namespace. Two things run beside each other: the poll, which learns of versions, fetches and verifies
 * them; and the handing over, one version at a time, of which only the newest waits.
 */
import type { Clock } from '../clock.ts';
import { GatehouseError, isGatehouseError } from '../errors.ts';
import type { BackOff } from './back-off.ts';
import { sleep } from './back-off.ts';
import type { BundleSource, LatestVersion } from './bundle-source.ts';
import { changedKeysBetween, frozen } from './configuration-values.ts';
import type { ConfigurationVersion } from './configuration-version.ts';
import type { ApplyVersion, NamespaceStatus } from './follower.ts';
import type { KeptState, KeptVersion, LocalCopies, SeenVersion } from './local-copy.ts';

/** What following one namespace needs. */
export interface NamespaceFollowerDeps {
  readonly namespace: string;
  readonly source: BundleSource;
  readonly copies: LocalCopies;
  readonly apply: ApplyVersion;
  readonly onStatus: (status: NamespaceStatus) => void;
  /** A version was refused, for the first time. */
  readonly onRejected: (version: number | undefined, reason: string) => void;
  /** The server has answered. */
  readonly onContact: () => void;
  readonly waitSeconds: number;
  readonly backOff: BackOff;
  readonly random: () => number;
  readonly clock: Clock;
  /** Ends everything; its reason is the error, or undefined when the follower was closed. */
  readonly signal: AbortSignal;
}

/** One namespace being followed. */
export interface NamespaceFollower {
  readonly ready: Promise<void>;
  current(): ConfigurationVersion | undefined;
  status(): NamespaceStatus;
  /** Runs until the signal ends it. Rejects with `agent_revoked` only. */
  run(): Promise<void>;
}

/** Polls that bring nothing come no faster than this, whatever a proxy makes of them. */
const leastPollMilliseconds = 1000;

/** Makes the follower of one namespace. */
export function createNamespaceFollower(deps: NamespaceFollowerDeps): NamespaceFollower {
  const { namespace, source, copies, apply, waitSeconds, backOff, random, clock, signal } = deps;
  const ready = createReadiness();
  let accepted: ConfigurationVersion | undefined;
  /** The highest version that was verified, here or by a process before. */
  let seen: SeenVersion | undefined;
  /** What was handed over last: newer versions are asked for. */
  let position: number | undefined;
  let kept: KeptState = {};
  let waiting: { version: KeptVersion; source: 'server' | 'copy' } | undefined;
  let isTrying = false;
  let applying: { readonly giveUp: AbortController; readonly done: Promise<void> } | undefined;
  let status: NamespaceStatus = { namespace, state: 'starting', failures: 0 };

  function tell(change: StatusChange): void {
    const next = { ...status, ...change };
    const state = stateOf(next.state ?? status.state, next.error, next.rejected);
    const inUse = accepted === undefined ? {} : { version: accepted.version, source: accepted.source };
    const members = Object.entries({ ...next, ...inUse, state }).filter(([, value]) => value !== undefined);
    // Members that were set to undefined are left out, as the type wants it.
    status = Object.fromEntries(members) as unknown as NamespaceStatus;
    deps.onStatus(status);
  }

  function stateOf(state: NamespaceStatus['state'], error: unknown, rejected: unknown): NamespaceStatus['state'] {
    if (state === 'ended') return state;
    if (error !== undefined) return 'away';
    if (rejected !== undefined) return 'rejected';
    return accepted === undefined ? 'starting' : 'current';
  }

  /** The disk is not what following depends on: a problem is told, and what is in memory goes on. */
  async function onDisk<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      tell({ copyProblem: error instanceof Error ? error.message : 'The state folder cannot be used.' });
      return undefined;
    }
  }

  /** Hands a version over as soon as the one before is done with. */
  function offer(version: KeptVersion, from: 'server' | 'copy'): void {
    waiting = { version, source: from };
    position = Math.max(position ?? 0, version.version);
    if (applying === undefined) applying = startApplying();
    // The first version is waited for: what an instance starts with is not for the next one to choose.
    else if (accepted !== undefined) applying.giveUp.abort(new GivenUp());
  }

  function startApplying(): NonNullable<typeof applying> {
    const giveUp = new AbortController();
    const applyAndGoOn = async (): Promise<void> => {
      await applyWaiting(giveUp);
      applying = waiting === undefined || signal.aborted ? undefined : startApplying();
    };
    return { giveUp, done: applyAndGoOn() };
  }

  async function applyWaiting(giveUp: AbortController): Promise<void> {
    if (waiting === undefined) return;
    const { version: offered, source: from } = waiting;
    waiting = undefined;
    const version = frozen({
      ...offered,
      source: from,
      changedKeys: changedKeysBetween(accepted?.values, offered.values),
    });
    isTrying = true;
    try {
      await apply(version, { signal: giveUp.signal });
    } catch (error) {
      isTrying = false;
      if (giveUp.signal.aborted && error === giveUp.signal.reason) return;
      refuse(offered.version, reasonOf(error), error);
      return;
    }
    isTrying = false;
    accepted = version;
    kept = {};
    const isAnswered = from === 'server' && (status.rejected?.version ?? 0) <= version.version;
    tell(isAnswered ? { rejected: undefined } : {});
    if (from === 'server') await onDisk(() => copies.keep(offered));
    ready.resolve();
  }

  /** A version that may not be used: the last good one stays. Without one there is nothing to wait for but the copy. */
  function refuse(version: number | undefined, reason: string, cause: unknown): void {
    const isNew = status.rejected?.version !== version || status.rejected?.reason !== reason;
    tell({ rejected: version === undefined ? { reason } : { version, reason } });
    if (isNew) deps.onRejected(version, reason);
    if (isTrying || waiting !== undefined || startFromCopy(version)) return;
    ready.reject(
      isGatehouseError(cause)
        ? cause
        : new GatehouseError('version_refused', `Namespace ${namespace}: ${reason}`, { cause }),
    );
  }

  /** Offers the local copy, once, if nothing else was accepted. */
  function startFromCopy(except?: number): boolean {
    if (accepted !== undefined) return true;
    const { copy } = kept;
    if (copy === undefined || copy.version === except) return false;
    kept = {};
    offer(copy, 'copy');
    return true;
  }

  async function take(version: number): Promise<void> {
    if (accepted === undefined && kept.copy?.version === version && startFromCopy()) return;
    if (seen !== undefined && version < seen.version) {
      throw new GatehouseError(
        'version_refused',
        `Namespace ${namespace}: the server offers version ${version}, older than the last seen serial ${seen.version}.`,
        { details: { refusal: 'older', namespace, version } },
      );
    }
    const fetched = await source.fetch(namespace, version, { seen, signal });
    const verified = { version: fetched.version, hash: fetched.hash };
    seen = verified;
    await onDisk(() => copies.saw(namespace, verified));
    offer(fetched, 'server');
  }

  /**
   * What to begin with. While a rollout is under way the server names an older version, the last that reached all
   * instances, so that a restart does not jump the queue; it is taken if nothing newer was seen here, or from the copy.
   */
  function firstOf({ version, startVersion = version }: LatestVersion): number {
    const isUsable = startVersion >= (seen?.version ?? 0) || startVersion === kept.copy?.version;
    return isUsable ? startVersion : version;
  }

  async function pollOnce(): Promise<void> {
    const since = position;
    const startedMs = clock.now().getTime();
    // The first one, and the one after a failure, do not wait: how things stand is to be known at once.
    const isWaiting = since !== undefined && status.lastContactAt !== undefined && backOff.failures === 0;
    const options = { ...(since === undefined ? {} : { since }), waitSeconds: isWaiting ? waitSeconds : 0, signal };
    const latest = await source.latest(namespace, options);
    tell({ error: undefined, nextTryAt: undefined, failures: 0, lastContactAt: clock.now() });
    deps.onContact();
    const wanted = latest === undefined || since !== undefined ? latest?.version : firstOf(latest);
    if (wanted !== undefined && wanted !== since) await take(wanted);
    backOff.reset();
    const tookMs = clock.now().getTime() - startedMs;
    const isIdle = wanted === undefined || wanted === since;
    // The server is itself again: what it offered in between does not count.
    if (isIdle && (status.rejected?.version ?? position ?? 0) < (position ?? 0)) tell({ rejected: undefined });
    if (isIdle && isWaiting && tookMs < leastPollMilliseconds) {
      await sleep((1 + random()) * leastPollMilliseconds - tookMs, signal);
    }
  }

  /** Whatever went wrong: tells it, starts from the copy if nothing else runs, and waits. */
  async function recover(error: GatehouseError): Promise<void> {
    const milliseconds = backOff.next(error.retryAfterSeconds);
    const nextTryAt = new Date(clock.now().getTime() + milliseconds);
    const { failures } = backOff;
    if (error.code === 'version_refused') {
      const version = error.details?.version;
      tell({ failures, nextTryAt });
      refuse(typeof version === 'number' ? version : undefined, error.message, error);
    } else {
      tell({ error, failures, nextTryAt });
      const isStarted = startFromCopy();
      const isFinal = !['server_unavailable', 'keys_unavailable'].includes(error.code);
      if (!isStarted && isFinal) ready.reject(error);
    }
    await sleep(milliseconds, signal);
  }

  async function follow(): Promise<void> {
    kept = (await onDisk(() => copies.load(namespace))) ?? {};
    seen = kept.seen;
    if (kept.refused !== undefined) tell({ copyProblem: kept.refused });
    for (;;) {
      signal.throwIfAborted();
      try {
        await pollOnce();
      } catch (error) {
        if (signal.aborted || isGatehouseError(error, 'agent_revoked')) throw error;
        await recover(isGatehouseError(error) ? error : unexpected(error));
      }
    }
  }

  return {
    ready: ready.promise,
    current: () => accepted,
    status: () => status,
    async run() {
      let failure: GatehouseError | undefined;
      try {
        await follow();
      } catch (error) {
        if (!signal.aborted) failure = isGatehouseError(error) ? error : unexpected(error);
      } finally {
        waiting = undefined;
        applying?.giveUp.abort(new GivenUp());
        await applying?.done;
        tell({ state: 'ended', nextTryAt: undefined, error: failure });
        ready.reject(failure ?? new GatehouseError('closed', `Following the namespace ${namespace} was ended.`));
      }
      if (failure !== undefined) throw failure;
    },
  };
}

type StatusChange = { [K in keyof NamespaceStatus]?: NamespaceStatus[K] | undefined };

/** The reason of a signal that asks a handler to give up: it rejects nothing. */
class GivenUp extends Error {
  override readonly name = 'AbortError';
  constructor() {
    super('A newer version waits, or following was ended.');
  }
}

/** Settles once; that nobody listens is no unhandled rejection. */
function createReadiness() {
  let resolve: () => void = () => undefined;
  let reject: (error: GatehouseError) => void = () => undefined;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

function unexpected(cause: unknown): GatehouseError {
  return new GatehouseError('answer_invalid', 'The answer of the server could not be worked with.', { cause });
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : 'The version was rejected.').slice(0, 300);
}
