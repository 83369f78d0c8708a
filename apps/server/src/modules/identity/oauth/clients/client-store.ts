import type { Jwks } from '@gatehouse/crypto';
import { named, type Reader } from '../../../../kernel/index.ts';
import type { OAuthClient } from './client.ts';

interface ClientRow {
  client_id: string;
  organization: string;
  name: string;
  audience: string;
  authentication: OAuthClient['authentication'];
  pop_url: string | null;
  jwks: Jwks | null;
  grants: string[];
  redirect_uris: string[];
  post_logout_redirect_uris: string[];
  first_party: boolean;
  id_token_signed_response_alg: string;
  role_ids: string[];
  secrets: { hash: string; expires_at: string | null }[];
}

const findStatement = {
  name: 'identity_find_oauth_client',
  text: `select s.client_id, s.organization, s.name, s.audience, s.authentication, s.pop_url, s.jwks, s.grants,
      s.redirect_uris, s.post_logout_redirect_uris, s.first_party, s.id_token_signed_response_alg, s.role_ids,
      coalesce((select jsonb_agg(jsonb_build_object('hash', encode(c.hash, 'base64'), 'expires_at', c.expires_at))
        from identity.service_secrets c where c.service_id = s.id), '[]') as secrets
    from identity.services s join identity.organizations o on o.name = s.organization
    where s.client_id = $1 and s.status = 'active' and o.status = 'active'`,
};
/** An active service of an active organization as a client; undefined for any other client id. */
export async function findClient(tx: Reader, clientId: string): Promise<OAuthClient | undefined> {
  const [row] = await named<ClientRow>(tx, findStatement, [clientId]);
  return row && toClient(row);
}

function toClient(row: ClientRow): OAuthClient {
  return {
    clientId: row.client_id,
    organization: row.organization,
    name: row.name,
    audience: row.audience,
    authentication: row.authentication,
    secrets: row.secrets.map((secret) => ({
      hash: Buffer.from(secret.hash, 'base64'),
      expiresAt: secret.expires_at === null ? undefined : new Date(secret.expires_at),
    })),
    popUrl: row.pop_url ?? undefined,
    jwks: row.jwks ?? undefined,
    grants: row.grants,
    redirectUris: row.redirect_uris,
    postLogoutRedirectUris: row.post_logout_redirect_uris,
    firstParty: row.first_party,
    idTokenAlgorithm: row.id_token_signed_response_alg,
    roleIds: row.role_ids,
  };
}

const audienceStatement = {
  name: 'identity_is_audience',
  text: `select 1 as found from identity.services
    where organization = $1 and audience = $2 and status = 'active'`,
};
/** True when an active service of the organization has this audience. */
export async function isAudienceOf(tx: Reader, organization: string, audience: string): Promise<boolean> {
  return (await named(tx, audienceStatement, [organization, audience])).length === 1;
}

const audiencesStatement = {
  name: 'identity_list_audiences',
  text: `select audience from identity.services where organization = $1 and status = 'active'
    order by audience limit $2`,
};
/** Audiences of the active services of an organization, at most `limit`. */
export async function listAudiences(tx: Reader, organization: string, limit: number): Promise<string[]> {
  return (await named<{ audience: string }>(tx, audiencesStatement, [organization, limit])).map((row) => row.audience);
}
