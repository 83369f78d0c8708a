import {
  type EventDescription,
  type EventName,
  eventTable,
  isEventName,
  type JsonObject,
  type JsonValue,
  matchesEvent,
} from '@gatehouse/contracts';
import type { SealedEntry } from '../entry.ts';
import { platformOrganization, type Webhook } from './webhook.ts';

/** The names of all events. */
export const eventNames: readonly EventName[] = Object.keys(eventTable) as EventName[];

/** Events that concern all organizations when they are about what is the platform's. */
export const everybodysEvents: readonly EventName[] = eventNames.filter((name) => {
  const description: EventDescription = eventTable[name];
  return description.everybody === true;
});

/** An event as it is sent: the exact text that is signed, the same for every endpoint and at each attempt. */
export interface WebhookEvent {
  readonly id: string;
  readonly type: string;
  readonly at: string;
  readonly body: string;
}

/** A sealed entry with its insertion position, by which a webhook knows what was written before it listened. */
export interface RelayedEntry {
  readonly position: bigint;
  readonly entry: Omit<SealedEntry, 'hash' | 'previous_hash'>;
}

/** What of a webhook decides whether it hears of an entry. */
export type Listener = Pick<Webhook, 'id' | 'organization' | 'events' | 'enabled'> & { readonly fromPosition: bigint };

/** True when this webhook is told of this entry: its organization's (or everybody's), asked for, and not from before. */
export function hears(listener: Listener, { position, entry }: RelayedEntry): boolean {
  if (position <= listener.fromPosition || !isEventName(entry.action)) return false;
  const reaches =
    listener.organization === platformOrganization ||
    listener.organization === entry.organization ||
    concernsEverybody(entry);
  return reaches && listener.events.some((pattern) => matchesEvent(pattern, entry.action));
}

/** The event of an entry: ids, names and numbers only. Reasons, addresses and other typed text stay in the audit trail. */
export function eventOf(entry: RelayedEntry['entry']): WebhookEvent {
  const { action } = entry;
  const description: EventDescription | undefined = isEventName(action) ? eventTable[action] : undefined;
  const picked = (description?.data ?? []).flatMap((name): [string, JsonValue][] => {
    const value = Object.hasOwn(entry.details, name) ? entry.details[name] : undefined;
    return value === undefined ? [] : [[name, value]];
  });
  const data: JsonObject = {
    entry: entry.id,
    sequence: entry.sequence,
    organization: entry.organization,
    // Who it was at the operators is not every organization's business.
    ...(concernsEverybody(entry) ? {} : { actor: { ...entry.actor } }),
    ...(entry.target ? { target: { ...entry.target } } : {}),
    outcome: entry.outcome,
    ...Object.fromEntries(picked),
  };
  return { id: eventIdOf(entry.id), type: action, at: entry.at, body: bodyOf(action, entry.at, data) };
}

/** The body of Standard Webhooks: `type`, `timestamp`, `data`. */
export function bodyOf(type: string, at: string, data: JsonObject): string {
  return JSON.stringify({ type, timestamp: at, data });
}

/** An event has its audit entry's id under another prefix: the same event has one id at every endpoint. */
export function eventIdOf(entryId: string): string {
  return entryId.replace(/^audit_/, 'evt_');
}

/** The patterns that cover no event at all: a webhook that waits for them would wait for ever. */
export function unknownPatterns(patterns: readonly string[]): string[] {
  return patterns.filter((pattern) => !eventNames.some((event) => matchesEvent(pattern, event)));
}

function concernsEverybody({ action, organization }: RelayedEntry['entry']): boolean {
  return organization === platformOrganization && (everybodysEvents as readonly string[]).includes(action);
}
