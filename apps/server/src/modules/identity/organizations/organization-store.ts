import { named, type Reader, type Tx } from '../../../kernel/index.ts';

/** A tenant. Its name never changes: client ids and audiences are made of it. */
export interface Organization {
  id: string;
  name: string;
  status: 'active' | 'suspended';
  created_at: Date;
  created_by: string;
}

const columns = 'id, name, status, created_at, created_by';

const find = {
  name: 'identity_find_organization',
  text: `select ${columns} from identity.organizations where name = $1`,
};
export async function findOrganization(tx: Reader, name: string): Promise<Organization | undefined> {
  return (await named<Organization>(tx, find, [name]))[0];
}

const page = {
  name: 'identity_list_organizations',
  text: `select ${columns} from identity.organizations
    where ($1::text is null or name = $1) and ($2::text is null or name > $2) order by name limit $3`,
};
/** By name; only the one named `only` when given. */
export async function listOrganizations(
  tx: Reader,
  filter: { only: string | undefined; afterName: string | undefined; limit: number },
): Promise<Organization[]> {
  return named<Organization>(tx, page, [filter.only ?? null, filter.afterName ?? null, filter.limit]);
}

const insert = {
  name: 'identity_insert_organization',
  text: `insert into identity.organizations (id, name, created_at, created_by) values ($1, $2, $3, $4)
    on conflict (name) do nothing returning ${columns}`,
};
/** Undefined when the name is taken. */
export async function insertOrganization(
  tx: Tx,
  organization: { id: string; name: string; createdAt: Date; createdBy: string },
): Promise<Organization | undefined> {
  const { id, name, createdAt, createdBy } = organization;
  return (await named<Organization>(tx, insert, [id, name, createdAt, createdBy]))[0];
}

const setStatus = {
  name: 'identity_set_organization_status',
  text: `update identity.organizations set status = $2 where name = $1 and status <> $2 returning ${columns}`,
};
/** Undefined when it is not there or has this status already. */
export async function updateOrganizationStatus(
  tx: Tx,
  name: string,
  status: Organization['status'],
): Promise<Organization | undefined> {
  return (await named<Organization>(tx, setStatus, [name, status]))[0];
}
