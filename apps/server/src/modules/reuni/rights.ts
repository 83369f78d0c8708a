import type { ResolvedRoles } from '../identity/index.ts';

/** The original's roles. */
export type ReuniRole = 'Admin' | 'Developer' | 'Auditor';
/** What a route asks: to read, to write configurations, or to manage services and members. */
export type Level = 'read' | 'write' | 'manage';

/** The original's role that the permissions of a member amount to; undefined for who may not even read. */
export function roleOf({
  permissions,
  operator,
}: Pick<ResolvedRoles, 'permissions' | 'operator'>): ReuniRole | undefined {
  if (operator || (permissions.has('users:write') && permissions.has('configuration:publish'))) return 'Admin';
  if (permissions.has('configuration:publish')) return 'Developer';
  return permissions.has('configuration:read') ? 'Auditor' : undefined;
}

/** The table of the original: who may what. */
export function mayDo(role: ReuniRole | undefined, level: Level): boolean {
  if (role === undefined) return false;
  return level === 'read' || role === 'Admin' || (level === 'write' && role === 'Developer');
}

/** Our role of that name; undefined for a role that the original does not have. */
export function roleNamed(name: string): 'admin' | 'developer' | 'auditor' | undefined {
  const names = { Admin: 'admin', Developer: 'developer', Auditor: 'auditor' } as const;
  return Object.hasOwn(names, name) ? names[name as ReuniRole] : undefined;
}
