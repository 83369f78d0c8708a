import type { KeyObject } from 'node:crypto';
import type { KeyPairAlgorithm, KeyUse, PrivateJwk, PublicJwk } from '@gatehouse/crypto';

/** The organization that owns the keyrings every token and `/pop` rests on. */
export const platformOrganization = 'gatehouse';

/**
 * The life of a key. `created`: known (a signature key is published) but not in use. `valid`: in use. `legacy`: no
 * longer used for new things, still accepted. `expired` and `compromised`: neither, and the private key is erased.
 */
export type KeyState = 'created' | 'valid' | 'legacy' | 'expired' | 'compromised';

/** What the keys of a keyring are for: tokens, audit checkpoints, data sent to us, or bundles of configuration. */
export type KeyringPurpose = 'tokens' | 'audit' | 'pop' | 'configuration';

/** When keys of a keyring are made, used and dropped. Seconds; see docs/guides/keys-and-rotation.md. */
export interface KeyringPolicy {
  /** How long a key signs, or is offered for encryption, from its activation. */
  readonly validitySeconds: number;
  /** How long a key is accepted, from its activation: so it contains the validity. */
  readonly legacySeconds: number;
  /** A signature key is published at least this long before it signs; documents are cached for half of it at most. */
  readonly publishBeforeSeconds: number;
  /** Valid keys at all times. */
  readonly minKeys: number;
  /** Longest time between two looks at the keyring. */
  readonly checkIntervalSeconds: number;
  /** Valid keys made with the keyring, each with its successor. */
  readonly initialCount: number;
}

/** What defines a keyring. */
export interface KeyringDefinition {
  readonly name: string;
  readonly organization: string;
  readonly purpose: KeyringPurpose;
  readonly use: KeyUse;
  readonly algorithm: KeyPairAlgorithm;
  /** RSA modulus bits; undefined for elliptic curves. */
  readonly keyBits: 2048 | 3072 | 4096 | undefined;
  readonly policy: KeyringPolicy;
}

/** A keyring as stored. */
export interface Keyring extends KeyringDefinition {
  /** Counts the changes of its keys; a rotation is a compare-and-swap on it. */
  readonly version: string;
  readonly createdAt: Date;
}

/** The times of a key: all that the rules need to know. */
export interface KeyTimes {
  readonly kid: string;
  readonly state: KeyState;
  readonly createdAt: Date;
  /** From when on no cached document can lack the key. */
  readonly readyAt: Date;
  readonly notBefore: Date;
  /** End of the validity; undefined until the key is activated. */
  readonly notAfter: Date | undefined;
  /** End of the acceptance; undefined until the key is activated. */
  readonly expireAt: Date | undefined;
}

/** A key as stored. */
export interface StoredKey extends KeyTimes {
  readonly keyring: string;
  /** When it expired or was declared compromised. */
  readonly endedAt: Date | undefined;
  readonly publicJwk: PublicJwk;
  readonly privateSealed: Uint8Array | undefined;
}

/** A key as a node keeps it in memory. */
export interface LoadedKey extends Omit<StoredKey, 'privateSealed'> {
  readonly alg: KeyPairAlgorithm;
  readonly use: KeyUse;
  readonly publicKey: KeyObject | undefined;
  readonly privateJwk: PrivateJwk | undefined;
  readonly privateKey: KeyObject | undefined;
}

/** A signature key that verifies tokens of this server. */
export interface PublicKeyEntry {
  readonly kid: string;
  readonly alg: KeyPairAlgorithm;
  readonly jwk: PublicJwk;
  readonly keyObject: KeyObject;
  readonly state: KeyState;
}
