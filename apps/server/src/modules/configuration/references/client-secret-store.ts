import { type NamedStatement, named, type Reader, type Tx } from '../../../kernel/index.ts';

/** A service's client secret, sealed. */
export interface ClientSecretRow {
  readonly serviceId: string;
  readonly secretId: string;
  readonly organization: string;
  readonly sealed: Uint8Array;
}

const find: NamedStatement = {
  name: 'configuration_find_client_secret',
  text: `select service_id as "serviceId", secret_id as "secretId", organization, sealed from configuration.client_secrets
    where service_id = $1`,
};

/** The secret that configurations of the service get. */
export async function findClientSecret(tx: Reader, serviceId: string): Promise<ClientSecretRow | undefined> {
  const [row] = await named<ClientSecretRow>(tx, find, [serviceId]);
  return row;
}

const put: NamedStatement = {
  name: 'configuration_put_client_secret',
  text: `insert into configuration.client_secrets (service_id, secret_id, organization, sealed, created_at)
    values ($1, $2, $3, $4, $5)
    on conflict (service_id) do update set secret_id = excluded.secret_id, sealed = excluded.sealed,
      created_at = excluded.created_at`,
};

/** Keeps a secret in place of the one before. */
export async function putClientSecret(tx: Tx, row: ClientSecretRow & { createdAt: Date }): Promise<void> {
  await named(tx, put, [row.serviceId, row.secretId, row.organization, row.sealed, row.createdAt]);
}

const lock: NamedStatement = {
  name: 'configuration_lock_client_secret',
  text: `select pg_advisory_xact_lock(hashtextextended('configuration.client_secrets ' || $1, 0))`,
};

/** One transaction at a time makes the first secret of a service. Taken before a lock on the service. */
export async function lockClientSecret(tx: Tx, serviceId: string): Promise<void> {
  await named(tx, lock, [serviceId]);
}
