import { interactionPolicy, type KoaContextWithOIDC, type Provider } from 'oidc-provider';
import type { ClientCache } from './clients/client-cache.ts';

const { base, Check } = interactionPolicy;

/** When a person is asked: oidc-provider's rules, and one of ours. */
export function createInteractionPolicy() {
  const policy = base();
  policy.get('login')?.checks.add(
    new Check('account_usable', 'the signed-in user cannot use this client', (ctx) => {
      // `findAccount` gives nobody for a user who is suspended or no member of the client's organization.
      return ctx.oidc.session?.accountId !== undefined && ctx.oidc.account === undefined;
    }),
  );
  return policy;
}

/**
 * The grant for an authorization request (`loadExistingGrant`): the one this browser sign-in has given to the client.
 * First-party clients, which the administrator has marked so, are granted what they ask for without a question.
 */
export function createGrantLoader({ clients }: { clients: Pick<ClientCache, 'find'> }) {
  return async (ctx: KoaContextWithOIDC) => {
    const { oidc } = ctx;
    const { client, account, session, provider } = oidc;
    if (!client || !account || !session) return undefined;
    const grantId = oidc.result?.consent?.grantId ?? session.grantIdFor(client.clientId);
    const existing = grantId === undefined ? undefined : await provider.Grant.find(grantId);
    const grant = existing?.accountId === account.accountId ? existing : undefined;
    if (!(await clients.find(client.clientId))?.firstParty) return grant;
    return grantAll(ctx, provider, grant);
  };
}

async function grantAll(
  ctx: KoaContextWithOIDC,
  provider: Provider,
  existing: InstanceType<Provider['Grant']> | undefined,
) {
  const { oidc } = ctx;
  const clientId = oidc.client?.clientId as string;
  const accountId = oidc.account?.accountId as string;
  const grant = existing ?? new provider.Grant({ accountId, clientId });
  const before = JSON.stringify([grant.openid, grant.resources]);
  const wanted = [...oidc.requestParamOIDCScopes];
  if (wanted.length > 0) grant.addOIDCScope(wanted.join(' '));
  for (const [indicator, server] of Object.entries(oidc.resourceServers ?? {})) {
    const scope = [...oidc.requestParamScopes].filter((name) => server.scopes.has(name));
    if (scope.length > 0) grant.addResourceScope(indicator, scope.join(' '));
  }
  if (!existing || JSON.stringify([grant.openid, grant.resources]) !== before) await grant.save();
  return grant;
}
