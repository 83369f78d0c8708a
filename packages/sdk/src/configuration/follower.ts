/**
 * Follows namespaces: learns of new versions, fetches and verifies them, hands them over, and keeps the last good one
 * for the time when the server is away.
 */
import { setMaxListeners } from 'node:events';
import { type Clock, systemClock } from '../clock.ts';
import { GatehouseError, isGatehouseError } from '../errors.ts';
import type { HttpOptions } from '../http/request.ts';
import type { AgentIdentity } from './agent-identity.ts';
import { type BackOffOptions, createBackOff } from './back-off.ts';
import { createBundleSource } from './bundle-source.ts';
import type { ConfigurationVersion } from './configuration-version.ts';
import { createNamespaceFollower, type NamespaceFollower } from './namespace-follower.ts';

/**
 * Where one namespace stands.
 * - `starting`: nothing handed over yet
 * - `current`: the server was asked and has nothing newer
 * - `away`: the server cannot be used (`error`), the last good version stays
 * - `rejected`: something newer was refused, the last good version stays
 * - `ended`: closed, or the agent was revoked (`error`)
 */
export interface NamespaceStatus {
  readonly namespace: string;
  readonly state: 'starting' | 'current' | 'away' | 'rejected' | 'ended';
  /** The last accepted version. */
  readonly version?: number;
  readonly source?: 'server' | 'copy';
  /** What was refused last, until something newer is accepted. `version` is absent when it is not known. */
  readonly rejected?: { readonly version?: number; readonly reason: string };
  /** Why the server cannot be used, or why following ended. */
  readonly error?: GatehouseError;
  /** Why the local copy could not be used (changed, older than the last seen serial) or not be written. */
  readonly copyProblem?: string;
  /** Tries without success, since the last success. */
  readonly failures: number;
  readonly lastContactAt?: Date;
  readonly nextTryAt?: Date;
}

/**
 * Takes over a version. Returns when it is in use; throws to reject it, and the last accepted one stays (the message is
 * the reason: it must not hold a value). `signal` says that a newer version waits, or that following ended: then a
 * handler that only waits (for a restart slot) gives up by throwing `signal.reason`, which rejects nothing.
 */
export type ApplyVersion = (
  version: ConfigurationVersion,
  context: { readonly signal: AbortSignal },
) => void | Promise<void>;

/** What is followed, and who is told. */
export interface FollowerOptions extends HttpOptions {
  identity: AgentIdentity;
  namespaces: readonly string[];
  /** One call at a time in each namespace. What is published meanwhile is handed over next, only the newest. */
  apply: ApplyVersion;
  /** Told of every change of a namespace's status. What it throws is not heard. */
  onStatus?: (status: NamespaceStatus) => void;
  /**
   * Told once of each version that was refused, because it does not verify or because `apply` threw: what is to be
   * reported as `rejected`. `version` is undefined when it is not known. What it throws is not heard.
   */
  onRejected?: (refused: { readonly namespace: string; readonly version?: number; readonly reason: string }) => void;
  /** Longest wait of one poll, 1 to 60. Default 60. */
  waitSeconds?: number;
  /** How long to wait between tries. Default: up to 1 s at first, up to 60 s at last. */
  backOff?: BackOffOptions;
  clock?: Clock;
}

/** A running follower. Nothing that the server or the network does makes it throw. */
export interface Follower {
  /**
   * Resolves when every namespace has a version that was accepted, from the server or from the local copy. While the
   * server is away and there is no copy it waits. Rejects when there is nothing to wait for: the first version was
   * refused, the server refuses this agent or namespace, or following ended. Following goes on all the same.
   */
  readonly ready: Promise<void>;
  /** The last accepted version. */
  current(namespace: string): ConfigurationVersion | undefined;
  status(namespace: string): NamespaceStatus;
  /** Resolves when following has ended: with the reason when the agent was revoked, with undefined after `close`. */
  readonly ended: Promise<GatehouseError | undefined>;
  /** Stops, and waits until nothing runs any more. */
  close(): Promise<void>;
}

const namespacePattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const rotationTryMilliseconds = 3_600_000;

/**
 * Starts following. The server is asked first; when it is away, the local copy is used, and the server as soon as it is
 * back. Versions that do not verify are refused: forged, of somebody else, older than the last seen one, of another chain.
 *
 * @example
 * const follower = createFollower({
 *   identity,
 *   namespaces: ['default'],
 *   apply: ({ version, values, changedKeys }) => restartWith(values),
 *   onStatus: ({ namespace, state, error }) => log.info({ namespace, state, error }),
 * });
 * await follower.ready;
 */
export function createFollower(options: FollowerOptions): Follower {
  const { identity, clock = systemClock, waitSeconds = 60 } = options;
  if (!Number.isInteger(waitSeconds) || waitSeconds < 1 || waitSeconds > 60) {
    throw new GatehouseError('configuration_invalid', 'waitSeconds must be a whole number from 1 to 60.');
  }
  const namespaces = [...new Set(options.namespaces)];
  if (namespaces.length === 0) throw new GatehouseError('configuration_invalid', 'Name at least one namespace.');
  for (const namespace of namespaces) {
    if (!namespacePattern.test(namespace)) {
      throw new GatehouseError('configuration_invalid', `${JSON.stringify(namespace)} is not the name of a namespace.`);
    }
  }
  const closing = new AbortController();
  // One listener for each request under way, two at most in each namespace: no leak, however many there are.
  setMaxListeners(0, closing.signal);
  const source = createBundleSource({ identity, clock, http: options });
  let rotationTriedMs = clock.now().getTime() - rotationTryMilliseconds;

  /** The server is there: a good moment for keys that are due. A failure waits for the next hour. */
  function rotateIfDue(): void {
    const nowMs = clock.now().getTime();
    if (nowMs - rotationTriedMs < rotationTryMilliseconds) return;
    rotationTriedMs = nowMs;
    identity.rotateKeysIfDue().catch(() => undefined);
  }

  const followers = new Map<string, NamespaceFollower>(
    namespaces.map((namespace) => [
      namespace,
      createNamespaceFollower({
        namespace,
        source,
        copies: identity.copies,
        apply: options.apply,
        onStatus: (status) => quietly(() => options.onStatus?.(status)),
        onRejected: (version, reason) =>
          quietly(() => options.onRejected?.({ namespace, reason, ...(version === undefined ? {} : { version }) })),
        onContact: rotateIfDue,
        waitSeconds,
        backOff: createBackOff(options.backOff),
        random: Math.random,
        clock,
        signal: closing.signal,
      }),
    ]),
  );
  const all = [...followers.values()];
  const ready = Promise.all(all.map((each) => each.ready)).then(() => undefined);
  ready.catch(() => undefined);
  const ended = Promise.all(
    all.map(async (each): Promise<unknown> => {
      try {
        await each.run();
        return undefined;
      } catch (error) {
        // One agent, one end: what one namespace learns holds for the others.
        closing.abort();
        return error;
      }
    }),
  ).then((ends): GatehouseError | undefined => {
    const reason = ends.find((end) => end !== undefined);
    if (reason === undefined || isGatehouseError(reason)) return reason;
    throw reason;
  });
  ended.catch(() => undefined);

  const follower = (namespace: string): NamespaceFollower => {
    const found = followers.get(namespace);
    if (found !== undefined) return found;
    throw new GatehouseError('configuration_invalid', `The namespace ${JSON.stringify(namespace)} is not followed.`);
  };
  return {
    ready,
    ended,
    current: (namespace) => follower(namespace).current(),
    status: (namespace) => follower(namespace).status(),
    async close() {
      closing.abort();
      await ended;
    },
  };
}

/** A listener must not end what a program lives on. */
function quietly(tell: () => void): void {
  try {
    tell();
  } catch {
    // Documented: what a listener throws is not heard.
  }
}
