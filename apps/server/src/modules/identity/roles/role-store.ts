import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { Role } from './role.ts';
import { permissionsOfRole, roleName } from './role-rules.ts';

interface RoleRow {
  id: string;
  organization: string;
  service: string | null;
  name: string;
  permissions: string[];
  built_in: boolean;
  created_at: Date;
  created_by: string;
}

function toRole(row: RoleRow): Role {
  return {
    id: row.id,
    organization: row.organization,
    name: roleName(row.service, row.name),
    service: row.service ?? undefined,
    permissions: permissionsOfRole({
      organization: row.organization,
      name: row.name,
      builtIn: row.built_in,
      stored: row.permissions,
    }),
    builtIn: row.built_in,
    createdAt: row.created_at,
    createdBy: row.created_by,
  };
}

const columns = 'id, organization, service, name, permissions, built_in, created_at, created_by';

const byIds = { name: 'identity_list_roles_by_id', text: `select ${columns} from identity.roles where id = any($1)` };
export async function listRolesById(tx: Reader, ids: readonly string[]): Promise<Role[]> {
  return (await named<RoleRow>(tx, byIds, [[...ids]])).map(toRole);
}

const byNames = {
  name: 'identity_lock_roles_by_name',
  // The lock keeps the roles from being deleted until the grant is committed.
  text: `select ${columns} from identity.roles
    where organization = $1 and case when service is null then name else service || ':' || name end = any($2)
    order by id for share`,
};
export async function lockRolesByName(tx: Tx, organization: string, names: readonly string[]): Promise<Role[]> {
  return (await named<RoleRow>(tx, byNames, [organization, [...names]])).map(toRole);
}

const byName = {
  name: 'identity_find_role',
  text: `select ${columns} from identity.roles where organization = $1 and service is not distinct from $2 and name = $3`,
};
export async function findRole(
  tx: Reader,
  organization: string,
  service: string | undefined,
  name: string,
): Promise<Role | undefined> {
  const [row] = await named<RoleRow>(tx, byName, [organization, service ?? null, name]);
  return row && toRole(row);
}

const forUpdate = {
  name: 'identity_lock_role',
  text: `select ${columns} from identity.roles where id = $1 for update`,
};
export async function findRoleForUpdate(tx: Tx, id: string): Promise<Role | undefined> {
  const [row] = await named<RoleRow>(tx, forUpdate, [id]);
  return row && toRole(row);
}

const page = {
  name: 'identity_list_roles',
  text: `select ${columns} from identity.roles where organization = $1 and ($2::text is null or id > $2)
    order by id limit $3`,
};
export async function listRoles(
  tx: Reader,
  organization: string,
  afterId: string | undefined,
  limit: number,
): Promise<Role[]> {
  return (await named<RoleRow>(tx, page, [organization, afterId ?? null, limit])).map(toRole);
}

const ofService = {
  name: 'identity_list_roles_of_services',
  text: `select ${columns} from identity.roles where organization = $1 and service = any($2) order by name`,
};
export async function listRolesOfServices(
  tx: Reader,
  organization: string,
  services: readonly string[],
): Promise<Role[]> {
  return (await named<RoleRow>(tx, ofService, [organization, [...services]])).map(toRole);
}

const lockService = {
  name: 'identity_lock_service_of_role',
  text: 'select name from identity.services where organization = $1 and name = $2 for key share',
};
/** True when the service exists; it stays until the transaction ends. */
export async function lockServiceOfRole(tx: Tx, organization: string, service: string): Promise<boolean> {
  return (await named(tx, lockService, [organization, service])).length > 0;
}

const insert = {
  name: 'identity_insert_role',
  text: `insert into identity.roles (id, organization, service, name, permissions, built_in, created_at, created_by)
    values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (organization, service, name) do nothing returning ${columns}`,
};
/** Undefined when a role of this name exists. */
export async function insertRole(
  tx: Tx,
  role: {
    id: string;
    organization: string;
    service: string | undefined;
    name: string;
    permissions: readonly string[];
    builtIn: boolean;
    createdAt: Date;
    createdBy: string;
  },
): Promise<Role | undefined> {
  const [row] = await named<RoleRow>(tx, insert, [
    role.id,
    role.organization,
    role.service ?? null,
    role.name,
    [...role.permissions],
    role.builtIn,
    role.createdAt,
    role.createdBy,
  ]);
  return row && toRole(row);
}

const update = {
  name: 'identity_update_role',
  text: `update identity.roles set permissions = $2 where id = $1 returning ${columns}`,
};
export async function updateRolePermissions(tx: Tx, id: string, permissions: readonly string[]): Promise<Role> {
  const [row] = await named<RoleRow>(tx, update, [id, [...permissions]]);
  if (!row) throw new Error('updateRolePermissions: the role is not there, although it was locked');
  return toRole(row);
}

const remove = { name: 'identity_delete_role', text: 'delete from identity.roles where id = $1' };
export async function deleteRole(tx: Tx, id: string): Promise<void> {
  await named(tx, remove, [id]);
}

const holders = {
  name: 'identity_count_role_holders',
  text: `select (select count(*) from identity.memberships where role_ids && $1)::int
    + (select count(*) from identity.services where role_ids && $1 and id <> $2)::int as holders`,
};
/** Memberships and service accounts that hold one of these roles; a service that is about to go does not count. */
export async function countRoleHolders(tx: Reader, ids: readonly string[], exceptServiceId = ''): Promise<number> {
  const [row] = await named<{ holders: number }>(tx, holders, [[...ids], exceptServiceId]);
  return row?.holders ?? 0;
}
