/**
 * Follows namespaces: learns of new versions, fetches and verifies them, hands them over, and keeps the last good one
 * for the time when the server is away.
 */
import type { Clock } from '../clock.ts';
import type { GatehouseError } from '../errors.ts';
import type { HttpOptions } from '../http/request.ts';
import type { AgentIdentity } from './agent-identity.ts';
import type { ConfigurationVersion } from './configuration-version.ts';

/**
 * Where one namespace stands.
 * - `starting`: nothing handed over yet · `current`: the server was asked and has nothing newer · `away`: the server
 *   cannot be reached, the last good version stays · `rejected`: something newer was refused, the last good version
 *   stays · `ended`: closed, or the agent was revoked (`error`).
 */
export interface NamespaceStatus {
  readonly namespace: string;
  readonly state: 'starting' | 'current' | 'away' | 'rejected' | 'ended';
  /** The last accepted version. */
  readonly version?: number;
  readonly source?: 'server' | 'copy';
  /** What was refused last, until something is accepted. `version` is absent when it could not even be read. */
  readonly rejected?: { readonly version?: number; readonly reason: string };
  /** Why the server cannot be used, or why following ended. */
  readonly error?: GatehouseError;
  /** Tries without success, since the last success. */
  readonly failures: number;
  readonly lastContactAt?: Date;
  readonly nextTryAt?: Date;
}

/** What is followed, and who is told. */
export interface FollowerOptions extends HttpOptions {
  identity: AgentIdentity;
  namespaces: readonly string[];
  /**
   * Takes over a version. Returns when it is in use; throws to reject it, and the last accepted one stays (the message
   * is the reason: it must not hold a value). One call at a time in each namespace; what is published meanwhile is
   * handed over next, only the newest. `signal` says that a newer version waits or that the follower was closed: then a
   * handler that only waits (for a restart slot) should give up by throwing `signal.reason`, which rejects nothing.
   */
  apply: (version: ConfigurationVersion, context: { readonly signal: AbortSignal }) => void | Promise<void>;
  /** Told of every change of a namespace's status. */
  onStatus?: (status: NamespaceStatus) => void;
  /** Longest wait of one poll, 1 to 60. Default 60. */
  waitSeconds?: number;
  clock?: Clock;
}

/** A running follower. Nothing that the server or the network does makes it throw. */
export interface Follower {
  /**
   * Resolves when every namespace has a version that was accepted, from the server or from the local copy. Rejects only
   * when that can no longer come: the agent was revoked, the follower was closed, or a first version was rejected.
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
