import type { PublicJwk } from '@gatehouse/crypto';
import { type NamedStatement, named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { Agent, AgentKeys } from './agent.ts';

interface AgentRow {
  id: string;
  organization: string;
  service_id: string;
  service: string;
  name: string;
  signature_kid: string;
  signature_jwk: PublicJwk;
  encryption_kid: string;
  encryption_jwk: PublicJwk;
  enrolled_with: string;
  enrolled_at: Date;
  keys_since: Date;
  seen_at: Date;
  revoked_at: Date | null;
  revoked_by: string | null;
}

const toAgent = (row: AgentRow): Agent => ({
  id: row.id,
  organization: row.organization,
  serviceId: row.service_id,
  service: row.service,
  name: row.name,
  signatureKid: row.signature_kid,
  signatureJwk: row.signature_jwk,
  encryptionKid: row.encryption_kid,
  encryptionJwk: row.encryption_jwk,
  enrolledWith: row.enrolled_with,
  enrolledAt: row.enrolled_at,
  keysSince: row.keys_since,
  seenAt: row.seen_at,
  revokedAt: row.revoked_at ?? undefined,
  revokedBy: row.revoked_by ?? undefined,
});

const find: NamedStatement = {
  name: 'configuration_find_agent',
  text: 'select * from configuration.agents where id = $1',
};

/** The agent with this id, revoked or not. */
export async function findAgent(tx: Reader, id: string): Promise<Agent | undefined> {
  const [row] = await named<AgentRow>(tx, find, [id]);
  return row && toAgent(row);
}

const forUpdate: NamedStatement = {
  name: 'configuration_lock_agent',
  text: 'select * from configuration.agents where id = $1 for update',
};

/** The agent with this id, locked. */
export async function findAgentForUpdate(tx: Tx, id: string): Promise<Agent | undefined> {
  const [row] = await named<AgentRow>(tx, forUpdate, [id]);
  return row && toAgent(row);
}

const byKeys: NamedStatement = {
  name: 'configuration_find_agent_by_keys',
  text: 'select * from configuration.agents where signature_kid = $1 and encryption_kid = $2',
};

/** The agent with exactly these keys, revoked or not. */
export async function findAgentByKeys(
  tx: Reader,
  { signatureKid, encryptionKid }: Pick<AgentKeys, 'signatureKid' | 'encryptionKid'>,
): Promise<Agent | undefined> {
  const [row] = await named<AgentRow>(tx, byKeys, [signatureKid, encryptionKid]);
  return row && toAgent(row);
}

const ofService: NamedStatement = {
  name: 'configuration_list_agents',
  text: `select * from configuration.agents where service_id = $1 and id > $2 and ($3 or revoked_at is null)
    order by id limit $4`,
};

/** Agents of a service in the order of their enrolment, after `afterId`. */
export async function listAgents(
  tx: Reader,
  serviceId: string,
  { afterId = '', revoked = false, limit }: { afterId?: string | undefined; revoked?: boolean; limit: number },
): Promise<Agent[]> {
  return (await named<AgentRow>(tx, ofService, [serviceId, afterId, revoked, limit])).map(toAgent);
}

const byIds: NamedStatement = {
  name: 'configuration_list_agents_by_id',
  text: 'select * from configuration.agents where id = any($1)',
};

/** These agents by id, revoked ones included. */
export async function listAgentsById(tx: Reader, ids: readonly string[]): Promise<Map<string, Agent>> {
  return new Map((await named<AgentRow>(tx, byIds, [[...ids]])).map((row) => [row.id, toAgent(row)]));
}

/** What decides whether an agent's token is good, besides its signature. */
export interface LivingAgent {
  readonly id: string;
  readonly serviceId: string;
  readonly signatureKid: string;
  readonly encryptionKid: string;
}

const living: NamedStatement = {
  name: 'configuration_list_living_agents',
  text: `select id, service_id, signature_kid, encryption_kid from configuration.agents
    where id = any($1) and revoked_at is null`,
};

/** Those of these agents that are not revoked. */
export async function listLivingAgents(tx: Reader, ids: readonly string[]): Promise<Map<string, LivingAgent>> {
  const rows = await named<{ id: string; service_id: string; signature_kid: string; encryption_kid: string }>(
    tx,
    living,
    [[...ids]],
  );
  return new Map(
    rows.map((row) => [
      row.id,
      {
        id: row.id,
        serviceId: row.service_id,
        signatureKid: row.signature_kid,
        encryptionKid: row.encryption_kid,
      },
    ]),
  );
}

const count: NamedStatement = {
  name: 'configuration_count_agents',
  text: `select count(*)::int as count from (
    select from configuration.agents where service_id = $1 and revoked_at is null limit $2) as counted`,
};

/** How many agents of a service are not revoked, `atMost` at most. */
export async function countAgents(tx: Reader, serviceId: string, atMost: number): Promise<number> {
  return (await named<{ count: number }>(tx, count, [serviceId, atMost]))[0]?.count ?? 0;
}

const insert: NamedStatement = {
  name: 'configuration_insert_agent',
  text: `insert into configuration.agents (id, organization, service_id, service, name, signature_kid, signature_jwk,
      encryption_kid, encryption_jwk, enrolled_with, enrolled_at, keys_since, seen_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $11) on conflict do nothing returning id`,
};

/** Writes a new agent; false when another has one of its keys. */
export async function insertAgent(
  tx: Tx,
  agent: AgentKeys &
    Pick<Agent, 'id' | 'organization' | 'serviceId' | 'service' | 'name' | 'enrolledWith' | 'enrolledAt'>,
): Promise<boolean> {
  const rows = await named(tx, insert, [
    agent.id,
    agent.organization,
    agent.serviceId,
    agent.service,
    agent.name,
    agent.signatureKid,
    JSON.stringify(agent.signatureJwk),
    agent.encryptionKid,
    JSON.stringify(agent.encryptionJwk),
    agent.enrolledWith,
    agent.enrolledAt,
  ]);
  return rows.length === 1;
}

const replaceKeys: NamedStatement = {
  name: 'configuration_replace_agent_keys',
  text: `update configuration.agents set signature_kid = $2, signature_jwk = $3, encryption_kid = $4,
    encryption_jwk = $5, keys_since = $6 where id = $1 and not exists (
      select from configuration.agents other where other.id <> $1
        and (other.signature_kid in ($2, $4) or other.encryption_kid in ($2, $4)))
    returning id`,
};

/** Replaces both keys: from the commit on only the new ones are good. False when another agent has one of them. */
export async function updateAgentKeys(tx: Tx, id: string, keys: AgentKeys, now: Date): Promise<boolean> {
  const { signatureKid, signatureJwk, encryptionKid, encryptionJwk } = keys;
  const values = [id, signatureKid, JSON.stringify(signatureJwk), encryptionKid, JSON.stringify(encryptionJwk), now];
  return (await named(tx, replaceKeys, values)).length === 1;
}

const revoke: NamedStatement = {
  name: 'configuration_revoke_agent',
  text: `update configuration.agents set revoked_at = $2, revoked_by = $3
    where id = $1 and revoked_at is null returning id`,
};

/** Revokes an agent; false when it is revoked already. */
export async function revokeAgentRow(tx: Tx, id: string, now: Date, by: string): Promise<boolean> {
  return (await named(tx, revoke, [id, now, by])).length === 1;
}

const seen: NamedStatement = {
  name: 'configuration_touch_agent',
  text: 'update configuration.agents set seen_at = $2 where id = $1 and revoked_at is null returning id',
};

/** Notes that an agent asked for a token; false when it is revoked. */
export async function touchAgent(tx: Tx, id: string, now: Date): Promise<boolean> {
  return (await named(tx, seen, [id, now])).length === 1;
}

const idle: NamedStatement = {
  name: 'configuration_list_idle_agents',
  text: `select * from configuration.agents where seen_at < $1 and revoked_at is null
    order by seen_at limit $2 for update skip locked`,
};

/** Some agents that were not heard of since `before`, locked. */
export async function listIdleAgentsForUpdate(tx: Tx, before: Date, limit: number): Promise<Agent[]> {
  return (await named<AgentRow>(tx, idle, [before, limit])).map(toAgent);
}

const purge: NamedStatement = {
  name: 'configuration_purge_agents',
  text: `delete from configuration.agents where id in (
    select id from configuration.agents where revoked_at < $1 limit $2) returning id`,
};

/** Forgets a batch of agents that were revoked before; how many. */
export async function purgeAgents(tx: Tx, before: Date, limit: number): Promise<number> {
  return (await named(tx, purge, [before, limit])).length;
}

const useAssertion: NamedStatement = {
  name: 'configuration_use_assertion',
  text: `insert into configuration.used_assertions (id_hash, expires_at) values ($1, $2)
    on conflict (id_hash) do nothing returning 1 as won`,
};

/** Uses an assertion's id. False when it was used before, on whichever node. */
export async function useAssertionOnce(tx: Tx, idHash: Uint8Array, expiresAt: Date): Promise<boolean> {
  return (await named(tx, useAssertion, [idHash, expiresAt])).length === 1;
}

const purgeAssertions: NamedStatement = {
  name: 'configuration_purge_assertions',
  text: `delete from configuration.used_assertions where id_hash in (
    select id_hash from configuration.used_assertions where expires_at < $1 limit $2) returning 1`,
};

/** Forgets a batch of assertions that have expired; how many. */
export async function purgeUsedAssertions(tx: Tx, before: Date, limit: number): Promise<number> {
  return (await named(tx, purgeAssertions, [before, limit])).length;
}
