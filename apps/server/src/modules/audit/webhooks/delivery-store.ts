import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { Candidate } from './retry-rules.ts';
import type { Delivery, DeliveryState } from './webhook.ts';

interface DeliveryRow {
  id: string;
  webhook_id: string;
  event_id: string;
  type: string;
  state: DeliveryState;
  attempts: number;
  created_at: Date;
  next_attempt_at: Date | null;
  last_attempt_at: Date | null;
  last_status: number | null;
  last_error: string | null;
}
const columns = `d.id, d.webhook_id, d.event_id, e.type, d.state, d.attempts, d.created_at, d.next_attempt_at,
  d.last_attempt_at, d.last_status, d.last_error`;
const joined = 'audit.webhook_deliveries d join audit.webhook_events e on e.id = d.event_id';

const listStatement = {
  name: 'webhooks_list_deliveries',
  text: `select ${columns} from ${joined} where d.webhook_id = $1 and ($2::text is null or d.state = $2)
    and ($3::timestamptz is null or (d.created_at, d.id) < ($3, $4)) order by d.created_at desc, d.id desc limit $5`,
};
/** Deliveries of a webhook, newest first. */
export async function listDeliveries(
  tx: Reader,
  filter: { webhookId: string; state: DeliveryState | undefined },
  before: { createdAt: Date; id: string } | undefined,
  limit: number,
): Promise<Delivery[]> {
  const { webhookId, state } = filter;
  const values = [webhookId, state ?? null, before?.createdAt ?? null, before?.id ?? null, limit];
  return (await named<DeliveryRow>(tx, listStatement, values)).map(toDelivery);
}

const findStatement = {
  name: 'webhooks_find_delivery',
  text: `select ${columns}, e.body from ${joined} where d.webhook_id = $1 and d.id = $2`,
};
/** A delivery with what was sent. */
export async function findDelivery(
  tx: Reader,
  webhookId: string,
  id: string,
): Promise<(Delivery & { body: string }) | undefined> {
  const [row] = await named<DeliveryRow & { body: string }>(tx, findStatement, [webhookId, id]);
  return row && { ...toDelivery(row), body: row.body };
}

const candidatesStatement = {
  name: 'webhooks_list_due',
  text: `select w.id, w.organization from audit.webhooks w cross join lateral (
      select next_attempt_at from audit.webhook_deliveries d
      where d.webhook_id = w.id and d.state = 'waiting' and d.next_attempt_at <= $1
      order by d.next_attempt_at limit 1) due
    where w.enabled and (w.held_until is null or w.held_until <= $1) order by due.next_attempt_at limit $2`,
};
/** Webhooks with deliveries that are due, who waits longest first. */
export async function listDueWebhooks(tx: Reader, now: Date, limit: number): Promise<Candidate[]> {
  const rows = await named<{ id: string; organization: string }>(tx, candidatesStatement, [now, limit]);
  return rows.map(({ id, organization }) => ({ webhookId: id, organization }));
}

/** A delivery that this node may try now. */
export interface ClaimedDelivery {
  readonly id: string;
  readonly claim: string;
  /** This attempt included. */
  readonly attempts: number;
  readonly webhookId: string;
  readonly organization: string;
  readonly url: string;
  readonly eventId: string;
  readonly body: string;
}

const claimStatement = {
  name: 'webhooks_claim',
  text: `with due as materialized (
      select one.id from unnest($1::text[], $2::int[]) as turn (webhook_id, count) cross join lateral (
        select d.id from audit.webhook_deliveries d
        where d.webhook_id = turn.webhook_id and d.state = 'waiting' and d.next_attempt_at <= $3
        order by d.next_attempt_at limit turn.count for update of d skip locked) one)
    update audit.webhook_deliveries d
    set attempts = d.attempts + 1, last_attempt_at = $3, next_attempt_at = $4, claim = $5
    from due, audit.webhooks w, audit.webhook_events e
    where d.id = due.id and w.id = d.webhook_id and e.id = d.event_id
    returning d.id, d.attempts, d.webhook_id, w.organization, w.url, d.event_id, e.body`,
};
/** Takes so many due deliveries of each webhook, for as long as the lease holds. */
export async function claimDeliveries(
  tx: Tx,
  turns: ReadonlyMap<string, number>,
  lease: { now: Date; until: Date; claim: string },
): Promise<ClaimedDelivery[]> {
  const rows = await named<{
    id: string;
    attempts: number;
    webhook_id: string;
    organization: string;
    url: string;
    event_id: string;
    body: string;
  }>(tx, claimStatement, [[...turns.keys()], [...turns.values()], lease.now, lease.until, lease.claim]);
  return rows.map((row) => ({
    id: row.id,
    claim: lease.claim,
    attempts: row.attempts,
    webhookId: row.webhook_id,
    organization: row.organization,
    url: row.url,
    eventId: row.event_id,
    body: row.body,
  }));
}

const finishStatement = {
  name: 'webhooks_finish_attempt',
  text: `update audit.webhook_deliveries
    set state = $3, next_attempt_at = $4, last_status = $5, last_error = $6, claim = null
    where id = $1 and claim = $2 and state = 'waiting'`,
};
/** Writes what became of an attempt, if this node still holds the lease. */
export async function finishAttempt(
  tx: Tx,
  { id, claim }: Pick<ClaimedDelivery, 'id' | 'claim'>,
  result: { state: DeliveryState; nextAttemptAt?: Date; status?: number | undefined; error?: string },
): Promise<void> {
  const { state, nextAttemptAt, status, error } = result;
  await named(tx, finishStatement, [id, claim, state, nextAttemptAt ?? null, status ?? null, error ?? null]);
}

const buryStatement = {
  name: 'webhooks_bury_waiting',
  text: `update audit.webhook_deliveries set state = 'dead', next_attempt_at = null, claim = null, last_error = $2
    where webhook_id = $1 and state = 'waiting'`,
};
/** Gives up what waits for a webhook that is being disabled; a replay brings it back. */
export async function buryWaiting(tx: Tx, webhookId: string, error: string): Promise<void> {
  await named(tx, buryStatement, [webhookId, error]);
}

const again = `state = 'waiting', attempts = 0, next_attempt_at = $2, claim = null`;
const replayOneStatement = {
  name: 'webhooks_replay_one',
  text: `update audit.webhook_deliveries set ${again} where webhook_id = $1 and id = $3 returning id`,
};
/** Sends one delivery again, from its first attempt on; false when there is none. */
export async function replayDelivery(tx: Tx, webhookId: string, id: string, now: Date): Promise<boolean> {
  return (await named(tx, replayOneStatement, [webhookId, now, id])).length === 1;
}

const replayManyStatement = {
  name: 'webhooks_replay_many',
  text: `with chosen as (
      select id from audit.webhook_deliveries
      where webhook_id = $1 and created_at >= $3 and created_at < $4 and state = any ($5) order by created_at, id limit $6),
    again as (
      update audit.webhook_deliveries set ${again} where id in (select id from chosen) returning created_at)
    select count(*)::int as count, max(created_at) as last from again`,
};
/** Sends again the oldest of what was recorded in a time and is in one of these states: how many, and up to when. */
export async function replayDeliveries(
  tx: Tx,
  webhookId: string,
  range: { from: Date; to: Date; states: readonly DeliveryState[]; limit: number },
  now: Date,
): Promise<{ count: number; last: Date | undefined }> {
  const values = [webhookId, now, range.from, range.to, [...range.states], range.limit];
  const [row] = await named<{ count: number; last: Date | null }>(tx, replayManyStatement, values);
  return { count: row?.count ?? 0, last: row?.last ?? undefined };
}

const purgeStatement = {
  name: 'webhooks_purge',
  text: `with old as (
      delete from audit.webhook_events where id in (
        select id from audit.webhook_events where created_at < $1 order by created_at limit $2) returning id)
    select count(*)::int as count from old`,
};
/** Deletes events, and with them their deliveries, recorded before then; how many. */
export async function purgeEvents(tx: Tx, before: Date, limit: number): Promise<number> {
  return (await named<{ count: number }>(tx, purgeStatement, [before, limit]))[0]?.count ?? 0;
}

function toDelivery(row: DeliveryRow): Delivery {
  return {
    id: row.id,
    webhookId: row.webhook_id,
    eventId: row.event_id,
    type: row.type,
    state: row.state,
    attempts: row.attempts,
    createdAt: row.created_at,
    nextAttemptAt: row.next_attempt_at ?? undefined,
    lastAttemptAt: row.last_attempt_at ?? undefined,
    lastStatus: row.last_status ?? undefined,
    lastError: row.last_error ?? undefined,
  };
}
