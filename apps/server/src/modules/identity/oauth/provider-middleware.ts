import type Provider from 'oidc-provider';
import { contentSecurityPolicy } from '../pages/layout.ts';

/** A middleware of oidc-provider (Koa). */
export type Middleware = Parameters<Provider['use']>[0];

type Entities = Partial<Record<'AuthorizationCode' | 'DeviceCode', { jti: string }>>;

/** Runs around every request that oidc-provider answers: completes discovery, and guards its pages. */
export function createProviderMiddleware(deps: {
  issuer: string;
  /** A code has become tokens: noted before they leave, so that the next use of it is seen as a replay. */
  codeRedeemed: (model: 'AuthorizationCode' | 'DeviceCode', id: string) => Promise<void>;
}): Middleware {
  const { issuer } = deps;
  return async (ctx, next) => {
    // Its auto-submitting pages (form_post, logout without a session) add the hash of their one script to this.
    ctx.set('content-security-policy', contentSecurityPolicy());
    await next();
    const { oidc } = ctx as { oidc?: { route?: string; params?: { redirect_uri?: string }; entities: Entities } };
    if (oidc?.route === 'token' && ctx.status === 200) {
      for (const model of ['AuthorizationCode', 'DeviceCode'] as const) {
        const id = oidc.entities[model]?.jti;
        if (id !== undefined) await deps.codeRedeemed(model, id);
      }
    }
    if (oidc?.route === 'discovery') Object.assign(ctx.body as object, discoveryOfOurs(issuer));
    const target = oidc?.params?.redirect_uri;
    if (ctx.type === 'text/html' && target !== undefined && typeof target === 'string' && URL.canParse(target)) {
      allowFormTarget(ctx, target);
    }
  };
}

/** Endpoints of ours, and what our front accepts; the rest of discovery is oidc-provider's. */
function discoveryOfOurs(issuer: string): object {
  const authMethods = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'];
  const signingAlgorithms = ['ES256', 'RS256', 'PS256', 'EdDSA'];
  return {
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    userinfo_endpoint: `${issuer}/oauth/userinfo`,
    introspection_endpoint: `${issuer}/oauth/introspect`,
    revocation_endpoint: `${issuer}/oauth/revoke`,
    token_endpoint_auth_methods_supported: authMethods,
    token_endpoint_auth_signing_alg_values_supported: signingAlgorithms,
    introspection_endpoint_auth_methods_supported: authMethods.filter((method) => method !== 'none'),
    introspection_endpoint_auth_signing_alg_values_supported: signingAlgorithms,
    revocation_endpoint_auth_methods_supported: authMethods,
    revocation_endpoint_auth_signing_alg_values_supported: signingAlgorithms,
  };
}

/** The page posts to the client (response_mode=form_post), which the policy has to allow by name. */
function allowFormTarget(ctx: Parameters<Middleware>[0], target: string): void {
  const policy = ctx.response.get('content-security-policy');
  const url = new URL(target);
  const source = url.origin === 'null' ? url.protocol : url.origin;
  ctx.set('content-security-policy', policy.replace("form-action 'self'", `form-action 'self' ${source}`));
}
