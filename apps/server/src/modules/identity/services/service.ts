import type { Jwks } from '@gatehouse/crypto';

/** How a service proves who it is at the token endpoint. */
export type ServiceAuthentication = 'client_secret' | 'private_key_jwt' | 'none';

/** The grants a service can be given. */
export const serviceGrants = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'token_exchange',
  'device_code',
] as const;
/** One of {@link serviceGrants}. */
export type ServiceGrant = (typeof serviceGrants)[number];

/** What of a service can be set; everything but its name can be changed later. */
export interface ServiceSettings {
  audience: string;
  authentication: ServiceAuthentication;
  popUrl: string | undefined;
  jwks: Jwks | undefined;
  grants: readonly string[];
  redirectUris: readonly string[];
  postLogoutRedirectUris: readonly string[];
  firstParty: boolean;
  idTokenAlgorithm: string;
}

/** An application, a backend or a machine account: OAuth client and resource server in one. */
export interface Service extends ServiceSettings {
  readonly id: string;
  readonly organization: string;
  readonly name: string;
  /** `<organization>.<name>`. */
  readonly clientId: string;
  readonly status: 'active' | 'suspended';
  /** Roles of the service's own account. */
  readonly roleIds: readonly string[];
  readonly createdAt: Date;
  readonly createdBy: string;
}

/** A secret as anybody but its owner sees it. */
export interface ServiceSecret {
  readonly id: string;
  readonly hash: Buffer;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt: Date | undefined;
}
