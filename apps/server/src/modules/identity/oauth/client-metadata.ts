import type { ClientMetadata } from 'oidc-provider';
import { canUseGrant, type GrantName, grantTypes, type OAuthClient } from './clients/client.ts';

/**
 * A service as oidc-provider sees it. Confidential clients all appear as `client_secret_post`: what they present there
 * is the ticket of our front, which has checked their real credentials (`client-authentication/ticket.ts`).
 */
export function clientMetadata(client: OAuthClient): ClientMetadata {
  const grants = (Object.keys(grantTypes) as GrantName[]).filter((grant) => canUseGrant(client, grant));
  const hasCode = grants.includes('authorization_code');
  const isPublic = client.authentication === 'none';
  return {
    client_id: client.clientId,
    client_name: client.name,
    // Custom schemes and loopback ports are for native clients (RFC 8252); those have a page between on every sign-in.
    application_type: client.redirectUris.every((uri) => /^https?:/.test(uri)) ? 'web' : 'native',
    token_endpoint_auth_method: isPublic ? 'none' : 'client_secret_post',
    ...(isPublic ? {} : { client_secret: 'checked by the front' }),
    grant_types: grants.map((grant) => grantTypes[grant]),
    response_types: hasCode ? ['code'] : [],
    redirect_uris: hasCode ? [...client.redirectUris] : [],
    post_logout_redirect_uris: [...client.postLogoutRedirectUris],
    id_token_signed_response_alg: client.idTokenAlgorithm as 'ES256' | 'RS256',
  };
}
