import type { JsonObject } from '@gatehouse/contracts';
import { type NamedStatement, named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { StoredConfiguration } from '../versions/version.ts';
import type { Actor, Proposal, ProposalState } from './proposal.ts';

interface ProposalRow {
  id: string;
  namespace_id: string;
  parent_version: number;
  own: StoredConfiguration | null;
  fresh_keys: string[];
  restores: number | null;
  message: string | null;
  labels: Record<string, string>;
  publish_at: Date | null;
  state: ProposalState;
  created_at: Date;
  created_by: string;
  created_by_type: Actor['type'];
  approved_at: Date | null;
  approved_by: string | null;
  approved_by_type: Actor['type'] | null;
  version: number | null;
  reason: JsonObject | null;
  ended_at: Date | null;
}

const toProposal = (row: ProposalRow): Proposal => ({
  id: row.id,
  namespaceId: row.namespace_id,
  parentVersion: row.parent_version,
  own: row.own ?? undefined,
  freshKeys: row.fresh_keys,
  restores: row.restores ?? undefined,
  message: row.message ?? undefined,
  labels: row.labels,
  publishAt: row.publish_at ?? undefined,
  state: row.state,
  createdAt: row.created_at,
  createdBy: { type: row.created_by_type, id: row.created_by },
  approvedAt: row.approved_at ?? undefined,
  approvedBy:
    row.approved_by === null || row.approved_by_type === null
      ? undefined
      : { type: row.approved_by_type, id: row.approved_by },
  version: row.version ?? undefined,
  reason: row.reason ?? undefined,
  endedAt: row.ended_at ?? undefined,
});

const insert: NamedStatement = {
  name: 'configuration_insert_proposal',
  text: `insert into configuration.proposals (id, namespace_id, parent_version, own, fresh_keys, restores, message, labels,
      publish_at, state, created_at, created_by, created_by_type, approved_at, approved_by, approved_by_type)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
};

/** Writes a new proposal. */
export async function insertProposal(tx: Tx, proposal: Proposal): Promise<void> {
  await named(tx, insert, [
    proposal.id,
    proposal.namespaceId,
    proposal.parentVersion,
    proposal.own === undefined ? null : JSON.stringify(proposal.own),
    JSON.stringify(proposal.freshKeys),
    proposal.restores ?? null,
    proposal.message ?? null,
    JSON.stringify(proposal.labels),
    proposal.publishAt ?? null,
    proposal.state,
    proposal.createdAt,
    proposal.createdBy.id,
    proposal.createdBy.type,
    proposal.approvedAt ?? null,
    proposal.approvedBy?.id ?? null,
    proposal.approvedBy?.type ?? null,
  ]);
}

const find: NamedStatement = {
  name: 'configuration_find_proposal',
  text: 'select * from configuration.proposals where id = $1',
};

/** The proposal with this id. */
export async function findProposal(tx: Reader, id: string): Promise<Proposal | undefined> {
  const [row] = await named<ProposalRow>(tx, find, [id]);
  return row && toProposal(row);
}

const lock: NamedStatement = {
  name: 'configuration_lock_proposal',
  text: 'select * from configuration.proposals where id = $1 for update',
};

/** The proposal with this id, locked. After a lock on its namespace, where there is one. */
export async function findProposalForUpdate(tx: Tx, id: string): Promise<Proposal | undefined> {
  const [row] = await named<ProposalRow>(tx, lock, [id]);
  return row && toProposal(row);
}

const list: NamedStatement = {
  name: 'configuration_list_proposals',
  text: `select p.id, p.namespace_id, p.parent_version, null::json as own, '[]'::json as fresh_keys, p.restores, p.message,
      p.labels, p.publish_at, p.state, p.created_at, p.created_by, p.created_by_type, p.approved_at, p.approved_by,
      p.approved_by_type, p.version, p.reason, p.ended_at
    from configuration.proposals p where p.namespace_id = $1 and ($2::text is null or p.state = $2)
      and ($3::text is null or p.id < $3) order by p.id desc limit $4`,
};

/** Proposals of a namespace, newest first, older than `before`; without their content. */
export async function listProposals(
  tx: Reader,
  namespaceId: string,
  page: { state?: ProposalState | undefined; before?: string | undefined; limit: number },
): Promise<Proposal[]> {
  const values = [namespaceId, page.state ?? null, page.before ?? null, page.limit];
  return (await named<ProposalRow>(tx, list, values)).map(toProposal);
}

const countLiving: NamedStatement = {
  name: 'configuration_count_proposals',
  text: `select count(*)::int as count from configuration.proposals where namespace_id = $1 and state in ('open', 'scheduled')`,
};

/** How many proposals of a namespace wait for somebody or for a time. */
export async function countLivingProposals(tx: Tx, namespaceId: string): Promise<number> {
  const [row] = await named<{ count: number }>(tx, countLiving, [namespaceId]);
  return row?.count ?? 0;
}

const approve: NamedStatement = {
  name: 'configuration_approve_proposal',
  text: `update configuration.proposals set state = 'scheduled', approved_at = $2, approved_by = $3, approved_by_type = $4
    where id = $1`,
};

/** Notes who agreed; it waits for its time. */
export async function updateApproved(tx: Tx, id: string, by: Actor, now: Date): Promise<void> {
  await named(tx, approve, [id, now, by.id, by.type]);
}

const publish: NamedStatement = {
  name: 'configuration_end_proposal',
  text: `update configuration.proposals set state = $2, ended_at = $3, version = $4, reason = $5,
      approved_at = coalesce(approved_at, $6), approved_by = coalesce(approved_by, $7),
      approved_by_type = coalesce(approved_by_type, $8)
    where id = $1`,
};

/** Brings a proposal to its end. */
export async function updateEnded(
  tx: Tx,
  id: string,
  end: { state: ProposalState; version?: number; reason?: JsonObject; approvedBy?: Actor | undefined; now: Date },
): Promise<void> {
  const { state, version, reason, approvedBy, now } = end;
  await named(tx, publish, [
    id,
    state,
    now,
    version ?? null,
    reason === undefined ? null : JSON.stringify(reason),
    approvedBy === undefined ? null : now,
    approvedBy?.id ?? null,
    approvedBy?.type ?? null,
  ]);
}
