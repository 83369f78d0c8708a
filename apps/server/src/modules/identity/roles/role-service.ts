import type { Permission } from '@gatehouse/contracts';
import {
  AppError,
  type Changes,
  type Clock,
  invalidField,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Granter } from '../deps.ts';
import type { ResolvedRoles, Role } from './role.ts';
import { assertCovers, assertPermissions, builtInRoleNames, combineRoles } from './role-rules.ts';
import {
  countRoleHolders,
  deleteRole,
  findRole,
  findRoleForUpdate,
  insertRole,
  listRoles,
  listRolesById,
  lockRolesByName,
  lockServiceOfRole,
  updateRolePermissions,
} from './role-store.ts';

/** The roles of all organizations. */
export interface Roles {
  /** What role ids amount to in an organization; ids of other organizations and of roles that are gone count for nothing. */
  resolve(tx: Reader, organization: string, roleIds: readonly string[]): Promise<ResolvedRoles>;
  /** Looks up role names to be granted, under a lock; refuses unknown ones and those above the granter. */
  grantable(tx: Tx, grant: { organization: string; names: readonly string[]; granter: Granter }): Promise<Role[]>;
  /** Roles of an organization by id, a page. */
  listRoles: typeof listRoles;
  /** The roles every organization has; with the organization. */
  createBuiltIn(tx: Tx, organization: string, createdBy: string): Promise<void>;
  createRole(tx: Tx, input: NewRole): Promise<Role>;
  updateRole(tx: Tx, input: RoleChange & { permissions: readonly string[] }): Promise<Role>;
  deleteRole(tx: Tx, input: RoleChange): Promise<void>;
  /** Begins to follow changes on other nodes. */
  start(): void;
  stop(): void;
}

/** A role to be made. */
export interface NewRole {
  organization: string;
  service?: string | undefined;
  name: string;
  permissions: readonly string[];
  granter: Granter;
  origin: Origin;
}

/** Which role is changed, and by whom. */
export interface RoleChange {
  organization: string;
  service?: string | undefined;
  name: string;
  granter: Granter;
  origin: Origin;
}

/** Most roles a node keeps in memory. */
const maxCached = 10_000;

/** Creates the role service. A node sees changed permissions within a second (topic `roles`), new roles at once. */
export function createRoles(deps: {
  clock: Clock;
  random: Pick<Random, 'id'>;
  audit: Pick<Audit, 'append'>;
  changes: Pick<Changes, 'touch' | 'watch'>;
}): Roles {
  const { clock, random, audit, changes } = deps;
  const cache = new Map<string, Role>();
  let generation = 0;
  let unwatch: (() => void) | undefined;

  const load = async (tx: Reader, ids: readonly string[]): Promise<Role[]> => {
    const known = ids.map((id) => cache.get(id));
    if (!known.includes(undefined)) return known as Role[];
    const before = generation;
    const roles = await listRolesById(tx, ids);
    // What a transaction sees may yet be rolled back, and what was read before a change may be old: not kept.
    if (!tx.isTransaction && before === generation) {
      if (cache.size + roles.length > maxCached) cache.clear();
      for (const role of roles) cache.set(role.id, role);
    }
    return roles;
  };

  const getForUpdate = async (tx: Tx, change: RoleChange): Promise<Role> => {
    const found = await findRole(tx, change.organization, change.service, change.name);
    const role = found && (await findRoleForUpdate(tx, found.id));
    if (!role) throw new AppError('kernel.not_found', { detail: 'There is no role of this name.' });
    if (role.builtIn) {
      throw new AppError('identity.role_built_in', {
        detail: `${role.name} is built in. Make a role of your own with the permissions you need.`,
      });
    }
    return role;
  };

  return {
    async resolve(tx, organization, roleIds) {
      const roles = roleIds.length === 0 ? [] : await load(tx, roleIds);
      return combineRoles(roles.filter((role) => role.organization === organization));
    },
    async grantable(tx, { organization, names, granter }) {
      const wanted = [...new Set(names)];
      const roles = wanted.length === 0 ? [] : await lockRolesByName(tx, organization, wanted);
      for (const name of wanted) {
        if (roles.some((role) => role.name === name)) continue;
        throw invalidField(
          `roles.${names.indexOf(name)}`,
          `names no role of the organization ${organization}`,
          'create the role first, or correct its spelling',
        );
      }
      assertCovers(granter, combineRoles(roles));
      return roles;
    },
    listRoles,
    async createBuiltIn(tx, organization, createdBy) {
      for (const name of builtInRoleNames) {
        await insertRole(tx, {
          id: random.id('rol'),
          organization,
          service: undefined,
          name,
          permissions: [],
          builtIn: true,
          createdAt: clock.now(),
          createdBy,
        });
      }
    },
    async createRole(tx, input) {
      const { organization, service, name, permissions, granter, origin } = input;
      assertPermissions(organization, permissions);
      assertCovers(granter, { permissions, operator: false });
      if (service !== undefined && !(await lockServiceOfRole(tx, organization, service))) {
        throw invalidField('name', `names no service "${service}"`, 'register the service first');
      }
      const role = await insertRole(tx, {
        id: random.id('rol'),
        organization,
        service,
        name,
        permissions: [...new Set(permissions)].sort(),
        builtIn: false,
        createdAt: clock.now(),
        createdBy: origin.actor.id,
      });
      if (!role) {
        throw new AppError('identity.role_exists', { detail: 'Choose another name, or change the existing role.' });
      }
      await audit.append(tx, {
        action: 'role.created',
        organization,
        origin,
        target: { type: 'role', id: role.id },
        details: { name: role.name, permissions: [...role.permissions] },
      });
      return role;
    },
    async updateRole(tx, input) {
      const role = await getForUpdate(tx, input);
      assertPermissions(role.organization, input.permissions);
      // Also what the role could do before: taking a permission away from others needs it as well.
      assertCovers(input.granter, { permissions: [...role.permissions, ...input.permissions], operator: false });
      const changed = await updateRolePermissions(tx, role.id, sortedUnique(input.permissions));
      await changes.touch(tx, 'roles');
      await audit.append(tx, {
        action: 'role.updated',
        organization: role.organization,
        origin: input.origin,
        target: { type: 'role', id: role.id },
        details: { name: role.name, before: [...role.permissions], after: [...changed.permissions] },
      });
      return changed;
    },
    async deleteRole(tx, input) {
      const role = await getForUpdate(tx, input);
      assertCovers(input.granter, { permissions: role.permissions, operator: false });
      const holders = await countRoleHolders(tx, [role.id]);
      if (holders > 0) {
        throw new AppError('identity.role_in_use', {
          detail: `${holders} account(s) hold the role ${role.name}. Take it from them first.`,
        });
      }
      await deleteRole(tx, role.id);
      await changes.touch(tx, 'roles');
      await audit.append(tx, {
        action: 'role.deleted',
        organization: role.organization,
        origin: input.origin,
        target: { type: 'role', id: role.id },
        details: { name: role.name },
      });
    },
    start() {
      unwatch ??= changes.watch('roles', () => {
        generation += 1;
        cache.clear();
      });
    },
    stop() {
      unwatch?.();
      unwatch = undefined;
    },
  };
}

function sortedUnique(permissions: readonly Permission[]): Permission[] {
  return [...new Set(permissions)].sort();
}
