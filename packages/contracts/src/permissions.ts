/** Every permission, `<resource>:<action>`. A role is a named set of these. */
export const permissions = [
  'organizations:read',
  'organizations:write',
  'users:read',
  'users:write',
  'sessions:read',
  'sessions:revoke',
  'roles:read',
  'roles:write',
  'services:read',
  'services:write',
  'keys:read',
  'keys:rotate',
  'secrets:read',
  'secrets:destroy',
  'issuers:read',
  'issuers:write',
  'configuration:read',
  'configuration:write',
  'configuration:publish',
  'configuration:reveal',
  'declaration:apply',
  'audit:read',
  'webhooks:read',
  'webhooks:write',
] as const;

/** One of {@link permissions}. */
export type Permission = (typeof permissions)[number];

const set: ReadonlySet<string> = new Set(permissions);

/** True when the text names a permission. */
export function isPermission(text: string): text is Permission {
  return set.has(text);
}

/** Permissions that only operators (organization `gatehouse`) can hold: they reach beyond one organization. */
export const operatorPermissions: ReadonlySet<Permission> = new Set<Permission>([
  'organizations:write',
  'keys:rotate',
  'issuers:read',
  'issuers:write',
  'declaration:apply',
]);

/** The built-in roles that each organization has, and what they may do. */
export const builtInRoles: Readonly<Record<'admin' | 'developer' | 'auditor', readonly Permission[]>> = {
  admin: permissions.filter((permission) => !operatorPermissions.has(permission)),
  developer: [
    'organizations:read',
    'users:read',
    'roles:read',
    'services:read',
    'services:write',
    'keys:read',
    'configuration:read',
    'configuration:write',
    'configuration:publish',
  ],
  auditor: [
    'organizations:read',
    'users:read',
    'sessions:read',
    'roles:read',
    'services:read',
    'keys:read',
    'secrets:read',
    'configuration:read',
    'audit:read',
    'webhooks:read',
  ],
};
