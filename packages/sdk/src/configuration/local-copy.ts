/**
 * The last good version of each namespace, encrypted in the state folder, and beside it the highest serial that was seen.
 */
import type { ConfigurationVersion } from './follower.ts';

/** Whose copies these are: bound into each, so that a copy in another place does not open. */
export interface CopyOwner {
  readonly issuer: string;
  readonly organization: string;
  readonly service: string;
  readonly agentId: string;
}

/** What was seen of a namespace. */
export interface SeenVersion {
  readonly version: number;
  readonly hash: string;
}

/** What the state folder knows of a namespace. */
export interface KeptState {
  /** The last accepted version, or undefined when there is none that may be used. */
  readonly copy?: ConfigurationVersion;
  /** The highest version that was verified, whether it was accepted or not. */
  readonly seen?: SeenVersion;
  /** Why a copy that is there was refused: tampered, older than the last seen serial, of somebody else. */
  readonly refused?: string;
}

/** The local copies of one agent. */
export interface LocalCopies {
  load(namespace: string): Promise<KeptState>;
  /** Notes a verified version before anybody acts on it. */
  saw(namespace: string, seen: SeenVersion): Promise<void>;
  /** Keeps an accepted version in place of the one before. */
  keep(version: ConfigurationVersion): Promise<void>;
}
