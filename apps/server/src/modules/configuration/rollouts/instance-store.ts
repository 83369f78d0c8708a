import { addSeconds, type NamedStatement, named, type Reader, type Tx } from '../../../kernel/index.ts';
import {
  countNames,
  goneAfterSeconds,
  type Instance,
  type InstanceState,
  type RolloutCounts,
  silentAfterSeconds,
} from './rollout.ts';
import type { Fleet, Target } from './rollout-rules.ts';

interface InstanceRow {
  namespace_id: string;
  agent_id: string;
  state: string;
  version: number;
  running_version: number | null;
  content_hash: string | null;
  available: boolean;
  failing: boolean;
  reason: string | null;
  since: Date;
  last_seen_at: Date;
  slot_version: number | null;
  report_due_at: Date | null;
}

const toInstance = (row: InstanceRow): Instance => ({
  namespaceId: row.namespace_id,
  agentId: row.agent_id,
  state: row.state as InstanceState,
  version: row.version,
  runningVersion: row.running_version ?? undefined,
  contentHash: row.content_hash ?? undefined,
  available: row.available,
  failing: row.failing,
  reason: row.reason ?? undefined,
  since: row.since,
  lastSeenAt: row.last_seen_at,
  slotVersion: row.slot_version ?? undefined,
  reportDueAt: row.report_due_at ?? undefined,
});

const toRow = (instance: Instance): InstanceRow => ({
  namespace_id: instance.namespaceId,
  agent_id: instance.agentId,
  state: instance.state,
  version: instance.version,
  running_version: instance.runningVersion ?? null,
  content_hash: instance.contentHash ?? null,
  available: instance.available,
  failing: instance.failing,
  reason: instance.reason ?? null,
  since: instance.since,
  last_seen_at: instance.lastSeenAt,
  slot_version: instance.slotVersion ?? null,
  report_due_at: instance.reportDueAt ?? null,
});

const columns = `i.namespace_id, i.agent_id, i.state, i.version, i.running_version, i.content_hash, i.available, i.failing,
  i.reason, i.since, i.last_seen_at, i.slot_version, i.report_due_at`;

const find: NamedStatement = {
  name: 'configuration_find_instances',
  text: `select ${columns} from configuration.instances i where i.namespace_id = $1 and i.agent_id = any($2)`,
};

/** The instances of these agents, by agent. The caller holds the namespace's lock. */
export async function findInstances(
  tx: Reader,
  namespaceId: string,
  agentIds: readonly string[],
): Promise<Map<string, Instance>> {
  const rows = await named<InstanceRow>(tx, find, [namespaceId, agentIds]);
  return new Map(rows.map((row) => [row.agent_id, toInstance(row)]));
}

const save: NamedStatement = {
  name: 'configuration_save_instances',
  text: `insert into configuration.instances (namespace_id, agent_id, state, version, running_version, content_hash,
      available, failing, reason, since, last_seen_at, slot_version, report_due_at)
    select * from jsonb_to_recordset($1) as one (namespace_id text, agent_id text, state text, version integer,
      running_version integer, content_hash text, available boolean, failing boolean, reason text, since timestamptz,
      last_seen_at timestamptz, slot_version integer, report_due_at timestamptz)
    on conflict (namespace_id, agent_id) do update set state = excluded.state, version = excluded.version,
      running_version = excluded.running_version, content_hash = excluded.content_hash, available = excluded.available,
      failing = excluded.failing, reason = excluded.reason, since = excluded.since,
      last_seen_at = excluded.last_seen_at, slot_version = excluded.slot_version,
      report_due_at = excluded.report_due_at`,
};

/** Writes instances, new ones and known ones. The caller holds the lock of their namespace. */
export async function saveInstances(tx: Tx, instances: readonly Instance[]): Promise<void> {
  if (instances.length > 0) await named(tx, save, [JSON.stringify(instances.map(toRow))]);
}

/** Nodes that looked less often than this were away, and what they did not see says nothing. */
const watchBreakSeconds = 180;

const count: NamedStatement = {
  name: 'configuration_count_fleet',
  text: `with known as (
      select i.slot_version is not null as holds,
        i.slot_version is not null or i.state = 'unhealthy' or (not i.available and i.running_version is not null) as down,
        coalesce(i.content_hash = $3, false) as same, i.slot_version, i.running_version, i.available,
        i.last_seen_at <= $4 and exists (
          select from configuration.fleet_watch w where w.watched_at > $5 and w.watching_since <= $4) as gone,
        i.last_seen_at <= $6 and i.running_version is not null and exists (
          select from configuration.fleet_watch w where w.watched_at > $5 and w.watching_since <= $6) as silent
      from configuration.instances i join configuration.agents a on a.id = i.agent_id
      where i.namespace_id = $1 and i.state <> 'stopped' and a.revoked_at is null)
    select count(*) filter (where not gone)::int as size,
      count(*) filter (where not gone and (down or silent))::int as down,
      count(*) filter (where not gone and holds)::int as slots,
      count(*) filter (where not gone and (same or slot_version = $2))::int as begun,
      count(*) filter (where not gone and same and available and not holds)::int as done,
      count(*) filter (where not gone and down and running_version = $2)::int as failing,
      count(*) filter (where gone)::int as gone
    from known`,
};

/**
 * Counts the instances of a namespace for one version, as `countInstance` does for each of them. One that has said nothing
 * for so long that it may be dead counts as down besides, so that no other is let go beside it.
 */
export async function countFleet(tx: Reader, namespaceId: string, target: Target, now: Date): Promise<Fleet> {
  const [row] = await named<Fleet>(tx, count, [
    ...fleetParameters(namespaceId, target, now),
    addSeconds(now, -silentAfterSeconds),
  ]);
  if (!row) throw new Error('configuration: a count without a row');
  return row;
}

const countPlaces: NamedStatement = {
  name: 'configuration_count_places',
  text: `with known as (
      select coalesce(i.content_hash = $3, false) as same, i.state, i.version, i.available, i.slot_version,
        i.last_seen_at <= $4 and exists (
          select from configuration.fleet_watch w where w.watched_at > $5 and w.watching_since <= $4) as gone
      from configuration.instances i join configuration.agents a on a.id = i.agent_id
      where i.namespace_id = $1 and i.state <> 'stopped' and a.revoked_at is null),
    placed as (select case when gone then 'gone' when slot_version = $2 then 'in_slot'
        when same and available then 'done' when state = 'unhealthy' then 'unhealthy'
        when state = 'rejected' and version = $2 then 'rejected' when same then 'restarting' else 'pending' end as place
      from known)
    select place, count(*)::int as count from placed group by place`,
};

/** Where the instances of a namespace are with one version, for people to read. */
export async function countPlacesOf(
  tx: Reader,
  namespaceId: string,
  target: Target,
  now: Date,
): Promise<RolloutCounts> {
  const rows = await named<{ place: string; count: number }>(
    tx,
    countPlaces,
    fleetParameters(namespaceId, target, now),
  );
  const counts = new Map(rows.map((row) => [row.place, row.count]));
  return Object.fromEntries(countNames.map((name) => [name, counts.get(name) ?? 0])) as RolloutCounts;
}

function fleetParameters(namespaceId: string, target: Target, now: Date): unknown[] {
  const goneBefore = addSeconds(now, -goneAfterSeconds);
  return [namespaceId, target.version, target.contentHash, goneBefore, addSeconds(now, -watchBreakSeconds)];
}

const watch: NamedStatement = {
  name: 'configuration_watch_fleet',
  text: `insert into configuration.fleet_watch as w (watching_since, watched_at) values ($1, $1)
    on conflict (id) do update set watched_at = greatest(w.watched_at, $1),
      watching_since = case when w.watched_at < $2 then $1 else w.watching_since end`,
};

/** Notes that the nodes are there and see who asks; after a break, watching begins anew. */
export async function noteWatching(tx: Tx, now: Date): Promise<void> {
  await named(tx, watch, [now, addSeconds(now, -watchBreakSeconds)]);
}

const due: NamedStatement = {
  name: 'configuration_list_due_instances',
  text: `select ${columns}, a.name, a.revoked_at is not null as revoked
    from configuration.instances i join configuration.agents a on a.id = i.agent_id
    where i.namespace_id = $1 and i.report_due_at <= $2 order by i.report_due_at, i.agent_id`,
};

type AgentInstanceRow = InstanceRow & { name: string; revoked: boolean };

/** An instance with what its agent is called, and whether it may still sign in. */
export interface AgentInstance {
  readonly instance: Instance;
  readonly name: string;
  readonly revoked: boolean;
}

const toAgentInstance = (row: AgentInstanceRow): AgentInstance => ({
  instance: toInstance(row),
  name: row.name,
  revoked: row.revoked,
});

/** Instances whose report is overdue, the longest first. */
export async function listDueInstances(tx: Reader, namespaceId: string, now: Date): Promise<AgentInstance[]> {
  return (await named<AgentInstanceRow>(tx, due, [namespaceId, now])).map(toAgentInstance);
}

const openNamespaces: NamedStatement = {
  name: 'configuration_list_open_rollouts',
  text: `select namespace_id from configuration.rollouts where state = 'running'
    union select namespace_id from configuration.instances where report_due_at <= $1 order by 1`,
};

/** Namespaces with something to look after: a running rollout, or a report that is overdue. */
export async function listOpenNamespaces(tx: Reader, now: Date): Promise<string[]> {
  return (await named<{ namespace_id: string }>(tx, openNamespaces, [now])).map((row) => row.namespace_id);
}

const nextDue: NamedStatement = {
  name: 'configuration_next_due',
  text: `select least((select min(report_due_at) from configuration.instances where namespace_id = $1),
    (select min(bake_until) from configuration.rollouts where namespace_id = $1 and state = 'running')) as at`,
};

/** When the next report or bake of a namespace is due. */
export async function findNextDue(tx: Reader, namespaceId: string): Promise<Date | undefined> {
  const [row] = await named<{ at: Date | null }>(tx, nextDue, [namespaceId]);
  return row?.at ?? undefined;
}

const seen: NamedStatement = {
  name: 'configuration_flush_seen',
  // A row that is locked is being reported on, and with that seen.
  text: `with seen as (
      select * from unnest($1::text[], $2::text[], $3::timestamptz[]) as one (namespace_id, agent_id, at)),
    free as (select i.namespace_id, i.agent_id, seen.at from configuration.instances i join seen using (namespace_id, agent_id)
      where i.last_seen_at < seen.at for update of i skip locked)
    update configuration.instances i set last_seen_at = free.at from free
    where i.namespace_id = free.namespace_id and i.agent_id = free.agent_id`,
};

/** Sets when instances were last seen, in one statement. */
export async function updateSeen(
  tx: Tx,
  sightings: readonly { readonly namespaceId: string; readonly agentId: string; readonly at: Date }[],
): Promise<void> {
  await named(tx, seen, [
    sightings.map((one) => one.namespaceId),
    sightings.map((one) => one.agentId),
    sightings.map((one) => one.at),
  ]);
}

/** Forgets instances that nobody has seen since `before`. */
export async function deleteForgotten(tx: Tx, before: Date): Promise<void> {
  await tx.deleteFrom('configuration.instances').where('last_seen_at', '<', before).execute();
}

/** An instance as the list shows it. */
export interface ListedInstance extends AgentInstance {
  readonly namespace: string;
}

const list: NamedStatement = {
  name: 'configuration_list_instances',
  text: `select ${columns}, a.name, a.revoked_at is not null as revoked, n.name as namespace
    from configuration.instances i
    join configuration.agents a on a.id = i.agent_id
    join configuration.namespaces n on n.id = i.namespace_id
    where n.organization = $1 and n.service = $2 and ($3::text is null or n.name = $3)
      and ($4::text is null or i.state = $4) and (n.name, i.agent_id) > ($5, $6)
    order by n.name, i.agent_id limit $7`,
};

/** Instances of a service by namespace and agent. */
export async function listInstances(
  tx: Reader,
  organization: string,
  service: string,
  options: {
    namespace?: string | undefined;
    state?: InstanceState | undefined;
    after: readonly [namespace: string, agentId: string];
    limit: number;
  },
): Promise<ListedInstance[]> {
  const rows = await named<AgentInstanceRow & { namespace: string }>(tx, list, [
    organization,
    service,
    options.namespace ?? null,
    options.state ?? null,
    ...options.after,
    options.limit,
  ]);
  return rows.map((row) => ({ ...toAgentInstance(row), namespace: row.namespace }));
}
