import type { JsonObject } from '@gatehouse/contracts';
import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { Outcome } from '../entry.ts';
import type { Listener, RelayedEntry, WebhookEvent } from './event-rules.ts';
import { platformOrganization } from './webhook.ts';

const lookStatement = {
  name: 'webhooks_look',
  text: `select (select sequence from audit.chain_head) > (select sequence from audit.webhook_cursor) as unread,
    exists (select from audit.webhook_deliveries where state = 'waiting' and next_attempt_at <= $1) as due`,
};
/** Is there anything to do? One statement on small indexes, twice a second. */
export async function lookForWork(tx: Reader, now: Date): Promise<{ unread: boolean; due: boolean }> {
  const [row] = await named<{ unread: boolean; due: boolean }>(tx, lookStatement, [now]);
  return row ?? { unread: false, due: false };
}

const lockStatement = {
  name: 'webhooks_lock_cursor',
  text: 'select sequence from audit.webhook_cursor for update skip locked',
};
/** How far the chain was read, locked; undefined when another node is at it. */
export async function tryLockCursor(tx: Tx): Promise<number | undefined> {
  const [row] = await named<{ sequence: string }>(tx, lockStatement, []);
  return row && Number(row.sequence);
}

const headStatement = { name: 'webhooks_read_head', text: 'select sequence from audit.chain_head' };
/** The last sealed sequence. */
export async function readHeadSequence(tx: Tx): Promise<number> {
  return Number((await named<{ sequence: string }>(tx, headStatement, []))[0]?.sequence ?? 0);
}

const moveStatement = { name: 'webhooks_move_cursor', text: 'update audit.webhook_cursor set sequence = $1' };
/** Remembers how far the chain was read. */
export async function moveCursor(tx: Tx, sequence: number): Promise<void> {
  await named(tx, moveStatement, [sequence]);
}

/** Webhooks that events are recorded for: a failing one collects what it misses. */
const listening = `(w.enabled or w.disabled_reason = 'failing')`;

const entriesStatement = {
  name: 'webhooks_list_entries',
  text: `select s.sequence, e.position, e.version, e.id, e.at, e.action, e.organization, e.actor_type, e.actor_id,
      e.target_type, e.target_id, e.outcome, e.details
    from audit.seals s join audit.entries e on e.position = s.position
    where s.sequence > $1 and s.sequence <= $2 and e.action = any ($3) and exists (
      select from audit.webhooks w where ${listening}
        and (w.organization in ('${platformOrganization}', e.organization)
          or (e.action = any ($4) and e.organization = '${platformOrganization}')))
    order by s.sequence`,
};
interface EntryRow {
  sequence: string;
  position: string;
  version: number;
  id: string;
  at: Date;
  action: string;
  organization: string;
  actor_type: string;
  actor_id: string;
  target_type: string | null;
  target_id: string | null;
  outcome: Outcome;
  details: JsonObject;
}
/** Sealed entries after one sequence up to another that are events and that somebody may want. */
export async function listEventEntries(
  tx: Tx,
  range: { after: number; to: number },
  names: { all: readonly string[]; everybodys: readonly string[] },
): Promise<RelayedEntry[]> {
  const values = [range.after, range.to, [...names.all], [...names.everybodys]];
  return (await named<EntryRow>(tx, entriesStatement, values)).map((row) => ({
    position: BigInt(row.position),
    entry: {
      version: row.version,
      id: row.id,
      at: row.at.toISOString(),
      action: row.action,
      organization: row.organization,
      actor: { type: row.actor_type, id: row.actor_id },
      ...(row.target_type === null || row.target_id === null
        ? {}
        : { target: { type: row.target_type, id: row.target_id } }),
      outcome: row.outcome,
      details: row.details,
      sequence: Number(row.sequence),
    },
  }));
}

const listenersStatement = {
  name: 'webhooks_list_listeners',
  text: `select w.id, w.organization, w.events, w.enabled, w.from_position from audit.webhooks w
    where ${listening} and ($2 or w.organization = any ($1))`,
};
/** The webhooks of these organizations, or of all. */
export async function listListeners(tx: Tx, organizations: readonly string[], all: boolean): Promise<Listener[]> {
  const rows = await named<{
    id: string;
    organization: string;
    events: string[];
    enabled: boolean;
    from_position: string;
  }>(tx, listenersStatement, [[...organizations], all]);
  return rows.map(({ from_position: position, ...row }) => ({ ...row, fromPosition: BigInt(position) }));
}

const insertEventsStatement = {
  name: 'webhooks_insert_events',
  text: `insert into audit.webhook_events (id, type, at, body, created_at)
    select e.id, e.type, e.at, e.body, $2
    from json_to_recordset($1::json) as e (id text, type text, at timestamptz, body text)`,
};
/** Keeps what will be sent. */
export async function insertEvents(tx: Tx, events: readonly WebhookEvent[], now: Date): Promise<void> {
  await named(tx, insertEventsStatement, [JSON.stringify(events), now]);
}

/** A delivery to be recorded. */
export interface NewDelivery {
  readonly id: string;
  readonly webhookId: string;
  readonly eventId: string;
  /** False for a webhook that collects what it misses. */
  readonly due: boolean;
}

const insertDeliveriesStatement = {
  name: 'webhooks_insert_deliveries',
  text: `insert into audit.webhook_deliveries
      (id, webhook_id, event_id, state, next_attempt_at, last_error, created_at)
    select d.id, d.webhook_id, d.event_id, case when d.due then 'waiting' else 'dead' end,
      case when d.due then $2::timestamptz end, case when d.due then null else 'the webhook was disabled' end, $2
    from json_to_recordset($1::json) as d (id text, webhook_id text, event_id text, due boolean)
    where exists (select from audit.webhooks w where w.id = d.webhook_id for key share)`,
};
/** Records deliveries; those of a webhook that was deleted meanwhile are left out. */
export async function insertDeliveries(tx: Tx, deliveries: readonly NewDelivery[], now: Date): Promise<void> {
  const rows = deliveries.map(({ id, webhookId, eventId, due }) => ({
    id,
    webhook_id: webhookId,
    event_id: eventId,
    due,
  }));
  await named(tx, insertDeliveriesStatement, [JSON.stringify(rows), now]);
}
