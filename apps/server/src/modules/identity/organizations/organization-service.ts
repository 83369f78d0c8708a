import {
  AppError,
  type Changes,
  type Clock,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { operatorOrganization } from '../deps.ts';
import type { Roles } from '../roles/role-service.ts';
import {
  findOrganization,
  insertOrganization,
  listOrganizations,
  type Organization,
  updateOrganizationStatus,
} from './organization-store.ts';

/** The tenants. */
export interface Organizations {
  findOrganization(tx: Reader, name: string): Promise<Organization | undefined>;
  getOrganization(tx: Reader, name: string): Promise<Organization>;
  listOrganizations: typeof listOrganizations;
  /** Makes an organization with its built-in roles. */
  createOrganization(tx: Tx, input: { name: string; origin: Origin }): Promise<Organization>;
  /** Nobody signs in to a suspended organization and none of its tokens is accepted here, until it is restored. */
  suspendOrganization(tx: Tx, input: { name: string; origin: Origin }): Promise<Organization>;
  restoreOrganization(tx: Tx, input: { name: string; origin: Origin }): Promise<Organization>;
}

/** Creates the organization service. */
export function createOrganizations(deps: {
  clock: Clock;
  random: Pick<Random, 'id'>;
  audit: Pick<Audit, 'append'>;
  changes: Pick<Changes, 'touch'>;
  roles: Pick<Roles, 'createBuiltIn'>;
}): Organizations {
  const { clock, random, audit, changes, roles } = deps;

  const getOrganization = async (tx: Reader, name: string) => {
    const organization = await findOrganization(tx, name);
    if (!organization) throw new AppError('kernel.not_found', { detail: 'There is no organization of this name.' });
    return organization;
  };

  const setStatus = async (tx: Tx, name: string, status: Organization['status'], action: string, origin: Origin) => {
    const changed = await updateOrganizationStatus(tx, name, status);
    if (!changed) return getOrganization(tx, name);
    // Nodes keep the active services of active organizations in memory.
    await changes.touch(tx, 'services');
    await audit.append(tx, { action, organization: name, origin, target: { type: 'organization', id: changed.id } });
    return changed;
  };

  return {
    findOrganization,
    getOrganization,
    listOrganizations,
    async createOrganization(tx, { name, origin }) {
      const organization = await insertOrganization(tx, {
        id: random.id('org'),
        name,
        createdAt: clock.now(),
        createdBy: origin.actor.id,
      });
      if (!organization) {
        throw new AppError('identity.organization_exists', { detail: `Choose another name than ${name}.` });
      }
      await roles.createBuiltIn(tx, name, origin.actor.id);
      await audit.append(tx, {
        action: 'organization.created',
        organization: name,
        origin,
        target: { type: 'organization', id: organization.id },
        details: { name },
      });
      return organization;
    },
    async suspendOrganization(tx, { name, origin }) {
      if (name === operatorOrganization) {
        throw new AppError('identity.last_operator', {
          detail: 'The organization of the operators cannot be suspended.',
        });
      }
      return setStatus(tx, name, 'suspended', 'organization.suspended', origin);
    },
    restoreOrganization: (tx, { name, origin }) => setStatus(tx, name, 'active', 'organization.restored', origin),
  };
}
