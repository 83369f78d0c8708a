import type { JsonObject } from '@gatehouse/contracts';

/** A service as it is, in the words of the declaration. */
export interface CurrentService {
  /** Fields of the declaration by their names there. */
  readonly fields: JsonObject;
  /** True when the declared client secret is one of its living secrets; true without a declared one. */
  readonly secretMatches: boolean;
}

/** A role as it is; by its full name. */
export interface CurrentRole {
  readonly permissions: readonly string[];
  readonly builtIn: boolean;
}

/** An account as it is in one organization. */
export interface CurrentUser {
  readonly uid: string;
  readonly username: string;
  readonly status: 'active' | 'archived' | 'deactivated';
  /** False when the account is another organization's and not yet a member of this one. */
  readonly member: boolean;
  /** Full names of its roles in this organization. */
  readonly roles: readonly string[];
}

/** An organization as it is. */
export interface CurrentOrganization {
  readonly services: ReadonlyMap<string, CurrentService>;
  readonly roles: ReadonlyMap<string, CurrentRole>;
  /** Accounts of the declared user names. */
  readonly users: ReadonlyMap<string, CurrentUser>;
  /** Members that the declaration does not name; read only to prune. */
  readonly others: readonly CurrentUser[];
}

/** A trusted issuer as it is. */
export interface CurrentIssuer {
  readonly issuer: string;
  readonly jwks_uri: string;
  readonly algorithms: readonly string[];
  readonly audiences: readonly string[];
}

/** What exists of what a declaration names. */
export interface CurrentState {
  readonly organizations: ReadonlyMap<string, CurrentOrganization>;
  readonly issuers: ReadonlyMap<string, CurrentIssuer>;
}
