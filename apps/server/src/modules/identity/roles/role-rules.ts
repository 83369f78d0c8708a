import { builtInRoles, isPermission, operatorPermissions, type Permission, permissions } from '@gatehouse/contracts';
import { AppError, invalidField } from '../../../kernel/index.ts';
import { type Granter, operatorOrganization } from '../deps.ts';
import type { ResolvedRoles, Role } from './role.ts';

/** Names of the roles every organization has. */
export const builtInRoleNames = Object.keys(builtInRoles) as (keyof typeof builtInRoles)[];

/** The full name of a role: a service's role carries the service's name. */
export function roleName(service: string | null | undefined, name: string): string {
  return service ? `${service}:${name}` : name;
}

/** Takes a full name apart. */
export function splitRoleName(fullName: string): { service: string | undefined; name: string } {
  const colon = fullName.indexOf(':');
  return colon < 0
    ? { service: undefined, name: fullName }
    : { service: fullName.slice(0, colon), name: fullName.slice(colon + 1) };
}

/** True for the role that makes an operator. */
export function isOperatorRole(role: Pick<Role, 'organization' | 'name' | 'builtIn'>): boolean {
  return role.builtIn && role.organization === operatorOrganization && role.name === 'admin';
}

/**
 * What a role may do. Built-in roles follow the release, not the row, so that a new permission reaches them at the
 * upgrade. Outside `gatehouse` an operators' permission counts for nothing, whatever a row says.
 */
export function permissionsOfRole(role: {
  organization: string;
  name: string;
  builtIn: boolean;
  stored: readonly string[];
}): Permission[] {
  if (isOperatorRole(role)) return [...permissions];
  if (role.builtIn) return [...(builtInRoles[role.name as keyof typeof builtInRoles] ?? [])];
  return role.stored
    .filter(isPermission)
    .filter((permission) => role.organization === operatorOrganization || !operatorPermissions.has(permission));
}

/** Adds roles up. */
export function combineRoles(roles: readonly Role[]): ResolvedRoles {
  return {
    names: roles.map((role) => role.name).sort(),
    permissions: new Set(roles.flatMap((role) => role.permissions)),
    operator: roles.some(isOperatorRole),
  };
}

/** Permissions in a request: known ones, and in an ordinary organization none that only operators hold. */
export function assertPermissions(organization: string, wanted: readonly string[]): asserts wanted is Permission[] {
  wanted.forEach((permission, index) => {
    if (!isPermission(permission)) {
      throw invalidField(`permissions.${index}`, 'is not a permission', `use some of ${permissions.join(', ')}`);
    }
    if (organization !== operatorOrganization && operatorPermissions.has(permission)) {
      throw invalidField(`permissions.${index}`, 'can be held only in the organization gatehouse', 'leave it out');
    }
  });
}

/** Nobody hands out, or takes over, more than they have: refuses when `wanted` exceeds the granter's permissions. */
export function assertCovers(granter: Granter, wanted: { permissions: Iterable<Permission>; operator: boolean }): void {
  if (granter === 'system' || granter.operator) return;
  const missing = [...wanted.permissions].filter((permission) => !granter.permissions.has(permission));
  if (missing.length === 0 && !wanted.operator) return;
  throw new AppError('identity.role_too_high', {
    detail: wanted.operator
      ? 'Only an operator can do this.'
      : `The caller lacks ${missing.sort().join(', ')}. Ask somebody who has them.`,
  });
}
