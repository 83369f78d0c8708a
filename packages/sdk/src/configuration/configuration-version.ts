/** A JSON value of a configuration. Frozen: nobody may change it. */
export type ConfigurationValue =
  | string
  | number
  | boolean
  | null
  | readonly ConfigurationValue[]
  | { readonly [key: string]: ConfigurationValue };

/** One verified version of a namespace, secrets opened. */
export interface ConfigurationVersion {
  readonly namespace: string;
  readonly version: number;
  /** The version's place in the chain. */
  readonly hash: string;
  /** RFC 3339. */
  readonly publishedAt: string;
  /** `author`, `rollback`, `refresh`, `automatic_rollback`. */
  readonly kind: string;
  /** Everything in plain text: do not log it. */
  readonly values: Readonly<Record<string, ConfigurationValue>>;
  /** The keys whose values are secrets. */
  readonly secretKeys: readonly string[];
  /** Keys created, changed or deleted since the version that was accepted before; all keys for the first one. */
  readonly changedKeys: readonly string[];
  /** Whether it was fetched now or comes from the local copy. */
  readonly source: 'server' | 'copy';
}
