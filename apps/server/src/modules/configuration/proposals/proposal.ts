import type { JsonObject } from '@gatehouse/contracts';
import type { Origin } from '../../../kernel/index.ts';
import type { StoredConfiguration } from '../versions/version.ts';

/**
 * `open`: waits for a second person. `scheduled`: waits for its time. `published`, `withdrawn` and `failed` are final.
 */
export type ProposalState = 'open' | 'scheduled' | 'published' | 'withdrawn' | 'failed';

/** Somebody who acted on a proposal. */
export type Actor = Origin['actor'];

/** A version to be. */
export interface Proposal {
  readonly id: string;
  readonly namespaceId: string;
  /** The version it was made from, which has to be the newest when it is published. */
  readonly parentVersion: number;
  /** What its author wrote; undefined for a rollback. */
  readonly own: StoredConfiguration | undefined;
  /** Keys of `own` whose secrets only this proposal has. */
  readonly freshKeys: readonly string[];
  readonly restores: number | undefined;
  readonly message: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly publishAt: Date | undefined;
  readonly state: ProposalState;
  readonly createdAt: Date;
  readonly createdBy: Actor;
  readonly approvedAt: Date | undefined;
  readonly approvedBy: Actor | undefined;
  readonly version: number | undefined;
  readonly reason: JsonObject | undefined;
  readonly endedAt: Date | undefined;
}
