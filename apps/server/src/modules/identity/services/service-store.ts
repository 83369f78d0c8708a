import type { Jwks } from '@gatehouse/crypto';
import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { Service, ServiceAuthentication, ServiceSecret, ServiceSettings } from './service.ts';

interface ServiceRow {
  id: string;
  organization: string;
  name: string;
  client_id: string;
  audience: string;
  status: 'active' | 'suspended';
  authentication: ServiceAuthentication;
  pop_url: string | null;
  jwks: Jwks | null;
  grants: string[];
  redirect_uris: string[];
  post_logout_redirect_uris: string[];
  first_party: boolean;
  id_token_signed_response_alg: string;
  role_ids: string[];
  created_at: Date;
  created_by: string;
}

const columns = `id, organization, name, client_id, audience, status, authentication, pop_url, jwks, grants,
  redirect_uris, post_logout_redirect_uris, first_party, id_token_signed_response_alg, role_ids, created_at, created_by`;

function toService(row: ServiceRow): Service {
  return {
    id: row.id,
    organization: row.organization,
    name: row.name,
    clientId: row.client_id,
    audience: row.audience,
    status: row.status,
    authentication: row.authentication,
    popUrl: row.pop_url ?? undefined,
    jwks: row.jwks ?? undefined,
    grants: row.grants,
    redirectUris: row.redirect_uris,
    postLogoutRedirectUris: row.post_logout_redirect_uris,
    firstParty: row.first_party,
    idTokenAlgorithm: row.id_token_signed_response_alg,
    roleIds: row.role_ids,
    createdAt: row.created_at,
    createdBy: row.created_by,
  };
}

const find = {
  name: 'identity_find_service',
  text: `select ${columns} from identity.services where organization = $1 and name = $2`,
};
export async function findService(tx: Reader, organization: string, name: string): Promise<Service | undefined> {
  const [row] = await named<ServiceRow>(tx, find, [organization, name]);
  return row && toService(row);
}

const forUpdate = {
  name: 'identity_lock_service',
  text: `select ${columns} from identity.services where organization = $1 and name = $2 for update`,
};
export async function findServiceForUpdate(tx: Tx, organization: string, name: string): Promise<Service | undefined> {
  const [row] = await named<ServiceRow>(tx, forUpdate, [organization, name]);
  return row && toService(row);
}

const byClientId = {
  name: 'identity_find_service_by_client_id',
  text: `select ${columns.replaceAll(/\w+/g, (column) => `s.${column}`)} from identity.services s
    join identity.organizations o on o.name = s.organization
    where s.client_id = $1 and s.status = 'active' and o.status = 'active'`,
};
/** An active service of an active organization. */
export async function findActiveService(tx: Reader, clientId: string): Promise<Service | undefined> {
  const [row] = await named<ServiceRow>(tx, byClientId, [clientId]);
  return row && toService(row);
}

const byAudience = {
  name: 'identity_list_services_by_audience',
  text: `select ${columns.replaceAll(/\w+/g, (column) => `s.${column}`)} from identity.services s
    join identity.organizations o on o.name = s.organization
    where s.audience = any($2) and ($1::text is null or s.organization = $1)
      and s.status = 'active' and o.status = 'active'
    order by s.client_id limit 100`,
};
/** Active services with one of these audiences, in one organization or in all. */
export async function listServicesByAudience(
  tx: Reader,
  organization: string | undefined,
  audiences: readonly string[],
): Promise<Service[]> {
  const rows = await named<ServiceRow>(tx, byAudience, [organization ?? null, [...audiences]]);
  return rows.map(toService);
}

const active = {
  name: 'identity_list_active_services',
  text: `select s.id from identity.services s join identity.organizations o on o.name = s.organization
    where s.id = any($1) and s.status = 'active' and o.status = 'active'`,
};
/** Those of these services, by id, that are active in an active organization. */
export async function listActiveServices(tx: Reader, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await named<{ id: string }>(tx, active, [[...ids]]);
  return new Set(rows.map((row) => row.id));
}

const page = {
  name: 'identity_list_services',
  text: `select ${columns} from identity.services
    where organization = $1 and ($2::text is null or name > $2) order by name limit $3`,
};
export async function listServices(
  tx: Reader,
  organization: string,
  afterName: string | undefined,
  limit: number,
): Promise<Service[]> {
  return (await named<ServiceRow>(tx, page, [organization, afterName ?? null, limit])).map(toService);
}

const claims = {
  name: 'identity_is_audience_taken',
  text: 'select 1 as found from identity.services where organization = $1 and audience = $2 and id <> $3',
};
/** True when another service of the organization has this audience. */
export async function isAudienceTaken(
  tx: Reader,
  organization: string,
  audience: string,
  exceptId: string,
): Promise<boolean> {
  return (await named(tx, claims, [organization, audience, exceptId])).length > 0;
}

const takeSubject = {
  name: 'identity_take_service_subject',
  text: `with taken as (
      insert into identity.subjects (subject, kind, created_at) values ($1, 'service', $2)
      on conflict (subject) do nothing returning kind)
    select kind from taken union all select kind from identity.subjects where subject = $1`,
};
/** Takes a client id as a subject for good; false when a user has it. A service made again under its name has it back. */
export async function takeServiceSubject(tx: Tx, clientId: string, createdAt: Date): Promise<boolean> {
  const rows = await named<{ kind: string }>(tx, takeSubject, [clientId, createdAt]);
  return rows.length > 0 && rows.every((row) => row.kind === 'service');
}

const insert = {
  name: 'identity_insert_service',
  text: `insert into identity.services (id, organization, name, client_id, audience, authentication, pop_url, jwks, grants,
      redirect_uris, post_logout_redirect_uris, first_party, id_token_signed_response_alg, role_ids, created_at, created_by)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
    on conflict (organization, name) do nothing returning ${columns}`,
};
/** Undefined when the organization has a service of this name. */
export async function insertService(
  tx: Tx,
  service: ServiceSettings & {
    id: string;
    organization: string;
    name: string;
    clientId: string;
    roleIds: readonly string[];
    createdAt: Date;
    createdBy: string;
  },
): Promise<Service | undefined> {
  const [row] = await named<ServiceRow>(tx, insert, [
    service.id,
    service.organization,
    service.name,
    service.clientId,
    ...settingsValues(service),
    [...service.roleIds],
    service.createdAt,
    service.createdBy,
  ]);
  return row && toService(row);
}

const update = {
  name: 'identity_update_service',
  text: `update identity.services set audience = $2, authentication = $3, pop_url = $4, jwks = $5, grants = $6,
      redirect_uris = $7, post_logout_redirect_uris = $8, first_party = $9, id_token_signed_response_alg = $10,
      role_ids = $11 where id = $1 returning ${columns}`,
};
export async function updateService(
  tx: Tx,
  id: string,
  settings: ServiceSettings & { roleIds: readonly string[] },
): Promise<Service> {
  const [row] = await named<ServiceRow>(tx, update, [id, ...settingsValues(settings), [...settings.roleIds]]);
  if (!row) throw new Error('updateService: the service is not there, although it was locked');
  return toService(row);
}

function settingsValues(settings: ServiceSettings): unknown[] {
  return [
    settings.audience,
    settings.authentication,
    settings.popUrl ?? null,
    settings.jwks === undefined ? null : JSON.stringify(settings.jwks),
    [...settings.grants],
    [...settings.redirectUris],
    [...settings.postLogoutRedirectUris],
    settings.firstParty,
    settings.idTokenAlgorithm,
  ];
}

const setStatus = {
  name: 'identity_set_service_status',
  text: `update identity.services set status = $2 where id = $1 returning ${columns}`,
};
export async function updateServiceStatus(tx: Tx, id: string, status: Service['status']): Promise<Service> {
  const [row] = await named<ServiceRow>(tx, setStatus, [id, status]);
  if (!row) throw new Error('updateServiceStatus: the service is not there, although it was locked');
  return toService(row);
}

const remove = { name: 'identity_delete_service', text: 'delete from identity.services where id = $1' };
export async function deleteServiceRow(tx: Tx, id: string): Promise<void> {
  await named(tx, remove, [id]);
}

interface SecretRow {
  id: string;
  service_id: string;
  hash: Buffer;
  created_at: Date;
  created_by: string;
  expires_at: Date | null;
}

const secrets = {
  name: 'identity_list_service_secrets',
  text: `select id, service_id, hash, created_at, created_by, expires_at from identity.service_secrets
    where service_id = any($1) order by id`,
};
/** Secrets by service id, oldest first, the expired included. */
export async function listSecrets(tx: Reader, serviceIds: readonly string[]): Promise<Map<string, ServiceSecret[]>> {
  const found = new Map<string, ServiceSecret[]>();
  for (const row of await named<SecretRow>(tx, secrets, [[...serviceIds]])) {
    const list = found.get(row.service_id) ?? [];
    list.push({
      id: row.id,
      hash: row.hash,
      createdAt: row.created_at,
      createdBy: row.created_by,
      expiresAt: row.expires_at ?? undefined,
    });
    found.set(row.service_id, list);
  }
  return found;
}

const insertSecretStatement = {
  name: 'identity_insert_service_secret',
  text: `insert into identity.service_secrets (id, service_id, hash, created_at, created_by, expires_at)
    values ($1, $2, $3, $4, $5, $6)`,
};
export async function insertSecret(tx: Tx, serviceId: string, secret: ServiceSecret): Promise<void> {
  const { id, hash, createdAt, createdBy, expiresAt } = secret;
  await named(tx, insertSecretStatement, [id, serviceId, hash, createdAt, createdBy, expiresAt ?? null]);
}

const deleteSecretStatement = {
  name: 'identity_delete_service_secret',
  text: 'delete from identity.service_secrets where service_id = $1 and id = $2 returning id',
};
/** False when the service has no such secret. */
export async function deleteSecretRow(tx: Tx, serviceId: string, id: string): Promise<boolean> {
  return (await named(tx, deleteSecretStatement, [serviceId, id])).length > 0;
}
