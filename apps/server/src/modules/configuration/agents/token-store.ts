import { type NamedStatement, named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { EnrolmentToken, ServiceToken } from './agent.ts';

interface ServiceTokenRow {
  id: string;
  organization: string;
  service_id: string;
  service: string;
  name: string;
  hash: Buffer;
  sealed: Buffer;
  may_enrol: boolean;
  created_at: Date;
  created_by: string;
}

const toServiceToken = (row: Omit<ServiceTokenRow, 'hash' | 'sealed'>): ServiceToken => ({
  id: row.id,
  organization: row.organization,
  serviceId: row.service_id,
  service: row.service,
  name: row.name,
  mayEnrol: row.may_enrol,
  createdAt: row.created_at,
  createdBy: row.created_by,
});

const serviceTokenColumns = 'id, organization, service_id, service, name, may_enrol, created_at, created_by';

const byHash: NamedStatement = {
  name: 'configuration_find_service_tokens',
  text: `select encode(hash, 'hex') as hash, ${serviceTokenColumns} from configuration.service_tokens where hash = any($1)`,
};

/** Service tokens by the hexadecimal SHA-256 of the token. */
export async function findServiceTokens(tx: Reader, hashes: readonly string[]): Promise<Map<string, ServiceToken>> {
  const values = [hashes.map((hash) => Buffer.from(hash, 'hex'))];
  const rows = await named<Omit<ServiceTokenRow, 'hash'> & { hash: string }>(tx, byHash, values);
  return new Map(rows.map((row) => [row.hash, toServiceToken(row)]));
}

const living: NamedStatement = {
  name: 'configuration_list_living_service_tokens',
  text: 'select id from configuration.service_tokens where id = any($1)',
};

/** Those of these tokens, by id, that were not deleted. */
export async function listLivingServiceTokens(tx: Reader, ids: readonly string[]): Promise<Map<string, true>> {
  return new Map((await named<{ id: string }>(tx, living, [[...ids]])).map(({ id }) => [id, true] as const));
}

const ofService: NamedStatement = {
  name: 'configuration_list_service_tokens',
  text: `select ${serviceTokenColumns}, sealed from configuration.service_tokens where service_id = $1 order by id`,
};

/** The tokens of a service, oldest first, each with its sealed copy. */
export async function listServiceTokens(
  tx: Reader,
  serviceId: string,
): Promise<{ token: ServiceToken; sealed: Uint8Array }[]> {
  const rows = await named<ServiceTokenRow>(tx, ofService, [serviceId]);
  return rows.map((row) => ({ token: toServiceToken(row), sealed: row.sealed }));
}

const insertService: NamedStatement = {
  name: 'configuration_insert_service_token',
  text: `insert into configuration.service_tokens (id, organization, service_id, service, name, hash, sealed, may_enrol,
    created_at, created_by) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
};

/** Writes a service token. */
export async function insertServiceToken(
  tx: Tx,
  token: ServiceToken,
  { hash, sealed }: { hash: Uint8Array; sealed: Uint8Array },
): Promise<void> {
  await named(tx, insertService, [
    token.id,
    token.organization,
    token.serviceId,
    token.service,
    token.name,
    hash,
    sealed,
    token.mayEnrol,
    token.createdAt,
    token.createdBy,
  ]);
}

const deleteService: NamedStatement = {
  name: 'configuration_delete_service_token',
  text: 'delete from configuration.service_tokens where service_id = $1 and id = $2 returning name',
};

/** Deletes a service token; its name, or undefined when the service has no such token. */
export async function deleteServiceTokenRow(tx: Tx, serviceId: string, id: string): Promise<string | undefined> {
  return (await named<{ name: string }>(tx, deleteService, [serviceId, id]))[0]?.name;
}

interface EnrolmentTokenRow {
  id: string;
  organization: string;
  service_id: string;
  service: string;
  name: string | null;
  created_at: Date;
  created_by: string;
  expires_at: Date;
}

const toEnrolmentToken = (row: EnrolmentTokenRow): EnrolmentToken => ({
  id: row.id,
  organization: row.organization,
  serviceId: row.service_id,
  service: row.service,
  name: row.name ?? undefined,
  createdAt: row.created_at,
  createdBy: row.created_by,
  expiresAt: row.expires_at,
});

const enrolmentColumns = 'id, organization, service_id, service, name, created_at, created_by, expires_at';

const insertEnrolment: NamedStatement = {
  name: 'configuration_insert_enrolment_token',
  text: `insert into configuration.enrolment_tokens (id, organization, service_id, service, name, hash, created_at,
    created_by, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
};

/** Writes an enrolment token. */
export async function insertEnrolmentToken(tx: Tx, token: EnrolmentToken, hash: Uint8Array): Promise<void> {
  await named(tx, insertEnrolment, [
    token.id,
    token.organization,
    token.serviceId,
    token.service,
    token.name ?? null,
    hash,
    token.createdAt,
    token.createdBy,
    token.expiresAt,
  ]);
}

const livingEnrolment: NamedStatement = {
  name: 'configuration_list_enrolment_tokens',
  text: `select ${enrolmentColumns} from configuration.enrolment_tokens
    where service_id = $1 and used_at is null and expires_at > $2 order by id`,
};

/** Enrolment tokens of a service that can still be used, oldest first. */
export async function listEnrolmentTokens(tx: Reader, serviceId: string, now: Date): Promise<EnrolmentToken[]> {
  return (await named<EnrolmentTokenRow>(tx, livingEnrolment, [serviceId, now])).map(toEnrolmentToken);
}

const takeEnrolment: NamedStatement = {
  name: 'configuration_take_enrolment_token',
  text: `update configuration.enrolment_tokens set used_at = $2
    where hash = $1 and used_at is null and expires_at > $2 returning ${enrolmentColumns}`,
};

/** Uses an enrolment token. Of many at once one gets it; undefined for the others, and when it is expired or unknown. */
export async function takeEnrolmentToken(tx: Tx, hash: Uint8Array, now: Date): Promise<EnrolmentToken | undefined> {
  const [row] = await named<EnrolmentTokenRow>(tx, takeEnrolment, [hash, now]);
  return row && toEnrolmentToken(row);
}

const usedEnrolment: NamedStatement = {
  name: 'configuration_find_used_enrolment_token',
  text: `select ${enrolmentColumns} from configuration.enrolment_tokens where hash = $1 and used_at is not null`,
};

/** An enrolment token that was used. */
export async function findUsedEnrolmentToken(tx: Reader, hash: Uint8Array): Promise<EnrolmentToken | undefined> {
  const [row] = await named<EnrolmentTokenRow>(tx, usedEnrolment, [hash]);
  return row && toEnrolmentToken(row);
}

const deleteEnrolment: NamedStatement = {
  name: 'configuration_delete_enrolment_token',
  text: `delete from configuration.enrolment_tokens where service_id = $1 and id = $2 and used_at is null returning id`,
};

/** Deletes an unused enrolment token; false when the service has no such token. */
export async function deleteEnrolmentTokenRow(tx: Tx, serviceId: string, id: string): Promise<boolean> {
  return (await named(tx, deleteEnrolment, [serviceId, id])).length === 1;
}

const purgeEnrolment: NamedStatement = {
  name: 'configuration_purge_enrolment_tokens',
  text: `delete from configuration.enrolment_tokens where id in (
    select id from configuration.enrolment_tokens where expires_at < $1 limit $2) returning id`,
};

/** Forgets a batch of enrolment tokens that have expired; how many. */
export async function purgeEnrolmentTokens(tx: Tx, before: Date, limit: number): Promise<number> {
  return (await named(tx, purgeEnrolment, [before, limit])).length;
}
