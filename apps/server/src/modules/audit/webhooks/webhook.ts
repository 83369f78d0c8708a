import type { Reader, Tx } from '../../../kernel/index.ts';

/** Why a webhook is not enabled. */
export type DisabledReason = 'by_request' | 'failing' | 'gone';

/** An endpoint that is told of events. */
export interface Webhook {
  readonly id: string;
  /** Whose events it hears; `gatehouse` hears those of all. */
  readonly organization: string;
  readonly url: string;
  /** Patterns: an event, `noun.*` or `*`. */
  readonly events: readonly string[];
  readonly description: string | undefined;
  readonly enabled: boolean;
  readonly disabledReason: DisabledReason | undefined;
  /** Since when every attempt has failed. */
  readonly failingSince: Date | undefined;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly updatedAt: Date;
}

/** A signing secret as anybody but its owner sees it. */
export interface WebhookSecret {
  readonly id: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | undefined;
}

/** What became of telling one endpoint of one event. */
export interface Delivery {
  readonly id: string;
  readonly webhookId: string;
  readonly eventId: string;
  readonly type: string;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly createdAt: Date;
  readonly nextAttemptAt: Date | undefined;
  readonly lastAttemptAt: Date | undefined;
  readonly lastStatus: number | undefined;
  readonly lastError: string | undefined;
}

/** `dead`: tried as often as it is tried, or its webhook was disabled; only a replay sends it. */
export type DeliveryState = 'waiting' | 'delivered' | 'dead';

/** The place of a sealed value, as the module `keys` binds it. */
export interface SecretPlace {
  readonly organization: string;
  readonly schema: string;
  readonly table: string;
  readonly rowId: string;
  readonly owner: string;
}

/** Sealing at rest: functions of the module `keys`, which is above this one. */
export interface SecretSealing {
  seal(tx: Tx, place: SecretPlace, plaintext: Uint8Array): Promise<Uint8Array>;
  open(tx: Reader, place: SecretPlace, sealed: Uint8Array): Promise<Uint8Array>;
}

/** The organization of the operators: its webhooks hear of every organization. */
export const platformOrganization = 'gatehouse';
