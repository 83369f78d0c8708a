import type { Permission } from '@gatehouse/contracts';

/** A named set of permissions of one organization. */
export interface Role {
  readonly id: string;
  readonly organization: string;
  /** Full name: `admin`, `support`, or `<service>:<role>`. */
  readonly name: string;
  readonly service: string | undefined;
  readonly permissions: readonly Permission[];
  readonly builtIn: boolean;
  readonly createdAt: Date;
  readonly createdBy: string;
}

/** What a set of role ids amounts to. */
export interface ResolvedRoles {
  /** Full names, sorted: the claim `roles`. */
  readonly names: readonly string[];
  readonly permissions: ReadonlySet<Permission>;
  /** A member of `gatehouse` with the role admin: has rights over every organization. */
  readonly operator: boolean;
}
