import type { Jwks } from '@gatehouse/crypto';

/** A service as an OAuth client. */
export interface OAuthClient {
  readonly clientId: string;
  readonly organization: string;
  readonly name: string;
  readonly audience: string;
  readonly authentication: 'client_secret' | 'private_key_jwt' | 'none';
  /** SHA-256 of each living secret, with its end. */
  readonly secrets: readonly { readonly hash: Uint8Array; readonly expiresAt: Date | undefined }[];
  readonly popUrl: string | undefined;
  readonly jwks: Jwks | undefined;
  readonly grants: readonly string[];
  readonly redirectUris: readonly string[];
  readonly postLogoutRedirectUris: readonly string[];
  readonly firstParty: boolean;
  readonly idTokenAlgorithm: string;
  readonly roleIds: readonly string[];
}

/** The grants of a service by the names they have on the wire. */
export const grantTypes = {
  authorization_code: 'authorization_code',
  refresh_token: 'refresh_token',
  client_credentials: 'client_credentials',
  device_code: 'urn:ietf:params:oauth:grant-type:device_code',
  token_exchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
} as const;

/** One of {@link grantTypes}: the short name a service is configured with. */
export type GrantName = keyof typeof grantTypes;

/** True when the service may use the grant. Refresh comes with every grant that a person takes part in. */
export function canUseGrant(client: OAuthClient, grant: GrantName): boolean {
  if (client.grants.includes(grant)) return true;
  return (
    grant === 'refresh_token' && (client.grants.includes('authorization_code') || client.grants.includes('device_code'))
  );
}
