/**
 * Terminology of a service's own proof-of-possession keys.
 *
 * A key is `created` (it exists, its time has not come), `valid` (used for new work), `legacy` (still opens and verifies
 * old work) or `expired` (removed at the next pass, used for nothing). Times are ISO 8601 in UTC.
 */
import type { PrivateJwk } from '@gatehouse/crypto';

/** `enc`: others seal to it. `sig`: the service signs with it. */
export type PopUse = 'enc' | 'sig';

/** Algorithms a service's own keys may have. */
export type PopAlgorithm = 'RSA-OAEP-256' | 'ECDH-ES+A256KW' | 'ES256' | 'EdDSA' | 'PS256' | 'RS256';

/** State of a key as last written. */
export type PopKeyState = 'created' | 'valid' | 'legacy' | 'expired';

/** One key pair with its times. */
export interface PopKey {
  /** RFC 7638 thumbprint of the public key. */
  kid: string;
  use: PopUse;
  alg: PopAlgorithm;
  state: PopKeyState;
  createdAt: string;
  /** When the key becomes (or became) valid. */
  notBefore: string;
  /** When it turns legacy; absent while created. */
  notAfter?: string;
  /** When it is removed; absent while created. */
  expireAt?: string;
  /** The private JWK. Only in the store and in memory. */
  privateJwk: PrivateJwk;
}

/** All keys of one service, as a store keeps them. */
export interface PopDocument {
  version: 1;
  /** Counts the writes. A store accepts revision n+1 only over revision n, so one rotation happens once. */
  revision: number;
  updatedAt: string;
  keys: PopKey[];
}

/** How the keys of one use and algorithm are made and rotated. */
export interface PopKeyPolicy {
  use: PopUse;
  alg: PopAlgorithm;
  /** How long a key is used for new work. Default 86400 (one day). */
  validitySeconds?: number;
  /**
   * How long after its activation a key still opens or verifies. Longer than `validitySeconds` by at least the time
   * others may keep a copy of the public key. Default 604800 (seven days).
   */
  legacySeconds?: number;
  /** Keys valid at the same time. Default 1. */
  minKeys?: number;
  /** Pairs (one valid, one created) made at the very first start. Default 1. */
  initialCount?: number;
  /** Modulus of RSA keys. Default 2048. */
  modulusBits?: 2048 | 3072 | 4096;
}

/** The whole policy of a service's keys. */
export interface PopPolicy {
  /** How often a running instance looks for due changes and for changes made by other instances. Default 60. */
  checkIntervalSeconds?: number;
  /** Default: one RSA-OAEP-256 encryption key. */
  keys?: PopKeyPolicy[];
}

/**
 * Where a service keeps its keys. `save` is a compare-and-swap: it stores `next` only when the stored revision is still
 * `next.revision - 1` (0 = nothing stored yet), and tells whether it did.
 */
export interface PopStore {
  load(): Promise<PopDocument | undefined>;
  save(next: PopDocument): Promise<boolean>;
}
