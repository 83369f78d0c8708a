import type { JsonObject, JsonValue } from '@gatehouse/contracts';

/** A secret as stored: which value, and its fingerprint. */
export interface StoredSecret {
  readonly $secret: { readonly id: string; readonly fingerprint: string };
}

/** A configuration as stored: values, {@link StoredSecret}s, and in `own` references as they were written. */
export type StoredConfiguration = Readonly<Record<string, JsonValue>>;

/** Where a key of the effective configuration comes from. */
export type Source =
  | { readonly kind: 'own' }
  /** `namespace` as {@link NamespaceSettings.extends} names it, at that version. */
  | { readonly kind: 'inherited'; readonly namespace: string; readonly version: number }
  | { readonly kind: 'key'; readonly keyring: string; readonly kid?: string }
  | { readonly kind: 'client'; readonly client_id: string };

/** A base as a version was composed of it. */
export interface UsedBase {
  readonly id: string;
  /** The version whose values were taken; 0 for none. */
  readonly used: number;
  /** The newest one there was. It differs from `used` after a rollback, and until the base publishes again. */
  readonly seen: number;
}

/** How a version came to be. */
export type VersionKind = 'author' | 'rollback' | 'refresh' | 'automatic_rollback';

/** One version of a namespace. It never changes. */
export interface Version {
  readonly namespaceId: string;
  readonly version: number;
  readonly parentVersion: number;
  /** What its author wrote. */
  readonly own: StoredConfiguration;
  /** With what it inherits and refers to, as of its publication: what instances get. */
  readonly effective: StoredConfiguration;
  readonly sources: Readonly<Record<string, Source>>;
  readonly bases: readonly UsedBase[];
  readonly contentHash: string;
  readonly hash: string;
  readonly previousHash: string;
  readonly kind: VersionKind;
  readonly restores: number | undefined;
  readonly cause: JsonObject | undefined;
  readonly message: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  readonly createdBy: string;
}
