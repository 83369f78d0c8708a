import { errors, type ResourceServer } from 'oidc-provider';
import { accessTokenSeconds } from '../tokens/limits.ts';
import { type Audiences, audienceOf } from './audiences.ts';
import type { ClientCache } from './clients/client-cache.ts';
import { scopeNames } from './scopes.ts';
import { defaultResource } from './token-claims.ts';

/** What oidc-provider asks about a resource (`getResourceServerInfo`): may the client have tokens for it, and which? */
export type DescribeResource = (clientId: string, resource: string) => Promise<ResourceServer>;

export function createResourceServers(deps: {
  issuer: string;
  clients: Pick<ClientCache, 'find'>;
  audiences: Pick<Audiences, 'isKnown'>;
}): DescribeResource {
  return async (clientId, resource) => {
    const audience = audienceOf(resource);
    if (resource !== defaultResource) {
      const client = await deps.clients.find(clientId);
      if (!client || !(await deps.audiences.isKnown(client, audience))) throw new errors.InvalidTarget();
    }
    return {
      scope: scopeNames.join(' '),
      audience: audience === `${deps.issuer}/` ? deps.issuer : audience,
      accessTokenFormat: 'jwt',
      accessTokenTTL: accessTokenSeconds,
      jwt: { sign: { alg: 'ES256' } },
    };
  };
}
