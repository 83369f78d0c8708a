import type { Principal } from '../../kernel/index.ts';

/** Who grants a role or changes an account: a caller with its permissions, or the server itself (first start). */
export type Granter = 'system' | Pick<Principal, 'permissions' | 'operator'>;

/** The organization of the operators. */
export const operatorOrganization = 'gatehouse';

/** A time as it goes over the wire: RFC 3339 in UTC. */
export function wireTime(date: Date): string {
  return date.toISOString();
}
