import { AppError, type Changes, type Clock, type Random, type Tx } from '../../../kernel/index.ts';
import type { Role } from '../roles/role.ts';
import { assertCovers, combineRoles } from '../roles/role-rules.ts';
import {
  countRoleHolders,
  deleteRole,
  findRoleForUpdate,
  insertRole,
  listRolesOfServices,
} from '../roles/role-store.ts';
import type { ServiceChange } from './service-service.ts';

/** The roles that a service brings with it: they live and go with it. */
export function createServiceRoles(deps: {
  clock: Clock;
  random: Pick<Random, 'id'>;
  changes: Pick<Changes, 'touch'>;
}) {
  const { clock, random, changes } = deps;

  /** Removes roles nobody holds; an account of the service that goes with them does not count. */
  const remove = async (tx: Tx, change: ServiceChange, roles: readonly Role[], exceptServiceId?: string) => {
    if (roles.length === 0) return;
    assertCovers(change.granter, combineRoles(roles));
    const ids = roles.map((role) => role.id);
    // A grant under way holds a share of the role; waiting for it here makes its holder countable.
    for (const id of ids) await findRoleForUpdate(tx, id);
    const holders = await countRoleHolders(tx, ids, exceptServiceId);
    if (holders > 0) {
      throw new AppError('identity.role_in_use', {
        detail: `${holders} account(s) hold one of ${roles.map((role) => role.name).join(', ')}. Take it from them first.`,
      });
    }
    for (const id of ids) await deleteRole(tx, id);
    await changes.touch(tx, 'roles');
  };

  return {
    /** Makes the missing roles and removes those no longer named. Names are without the service's. */
    async set(tx: Tx, change: ServiceChange, names: readonly string[]): Promise<void> {
      const { organization, name: service, origin } = change;
      const present = await listRolesOfServices(tx, organization, [service]);
      const wanted = new Set(names);
      const superfluous = present.filter((role) => !wanted.has(role.name.slice(service.length + 1)));
      await remove(tx, change, superfluous);
      for (const name of wanted) {
        await insertRole(tx, {
          id: random.id('rol'),
          organization,
          service,
          name,
          permissions: [],
          builtIn: false,
          createdAt: clock.now(),
          createdBy: origin.actor.id,
        });
      }
    },
    /** With the service. */
    async removeAll(tx: Tx, change: ServiceChange, serviceId: string): Promise<void> {
      const own = await listRolesOfServices(tx, change.organization, [change.name]);
      await remove(tx, change, own, serviceId);
    },
  };
}
