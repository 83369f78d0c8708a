import type { JsonObject } from '@gatehouse/contracts';
import type { Origin } from '../../kernel/index.ts';

/** What a module hands in to be recorded. No secrets: neither in `details` nor in `reason`. */
export interface NewEntry {
  /** `<noun>.<what happened>`, for example `session.created`. */
  readonly action: string;
  /** The organization whose trail this belongs to; its auditors see it. */
  readonly organization: string;
  readonly origin: Origin;
  readonly target?: { readonly type: string; readonly id: string };
  /** Default `success`. */
  readonly outcome?: Outcome;
  /** Why it was refused or done, in plain words or as an error code. */
  readonly reason?: string;
  readonly details?: JsonObject;
}

/** Did the thing happen, or was it refused? */
export type Outcome = 'success' | 'failure';

/** An entry as everybody reads it. Its canonical JSON, without `hash`, is what is hashed (docs/guides/audit-format.md). */
export interface Entry {
  readonly version: number;
  readonly id: string;
  /** UTC with exactly three digits of milliseconds: one spelling, so one hash. */
  readonly at: string;
  readonly action: string;
  readonly organization: string;
  readonly actor: { readonly type: string; readonly id: string };
  readonly target?: { readonly type: string; readonly id: string };
  readonly outcome: Outcome;
  readonly reason?: string;
  readonly request_id?: string;
  readonly address?: string;
  readonly user_agent?: string;
  readonly details: JsonObject;
}

/** An entry with its place in the chain. Hashes are 64 lower-case hexadecimal digits. */
export interface SealedEntry extends Entry {
  readonly sequence: number;
  readonly previous_hash: string;
  readonly hash: string;
}

/** A signed statement that the chain had this hash at this sequence. */
export interface Checkpoint {
  readonly number: number;
  readonly sequence: number;
  readonly hash: string;
  readonly at: string;
  readonly jws: string;
}
