import type Provider from 'oidc-provider';
import type { Logger } from '../../../kernel/index.ts';
import { contentSecurityPolicy } from '../pages/layout.ts';
import { continuePage } from './pages/continue-page.ts';

/** A middleware of oidc-provider (Koa). */
export type Middleware = Parameters<Provider['use']>[0];

/** What of a browser's session a page of sign-out depends on. */
interface SessionState {
  readonly state?: { readonly postLogoutRedirectUri?: string };
}
type Entities = Partial<Record<'AuthorizationCode' | 'DeviceCode', { jti: string }>>;

/** Runs around every request that oidc-provider answers: completes discovery, and guards its pages. */
export function createProviderMiddleware(deps: {
  issuer: string;
  log: Logger;
  /** A code has become tokens: noted before they leave, so that the next use of it is seen as a replay. */
  codeRedeemed: (model: 'AuthorizationCode' | 'DeviceCode', id: string) => Promise<void>;
}): Middleware {
  const { issuer } = deps;
  return async (ctx, next) => {
    ctx.set('content-security-policy', contentSecurityPolicy());
    try {
      await next();
    } catch (error) {
      // What comes through here would be answered by Koa, which takes every header of ours off first.
      if (!(isUnsavedSession(error) && ctx.body)) answerFailure(ctx, error, deps.log);
    }
    const { oidc } = ctx as { oidc?: { route?: string; session?: SessionState; entities: Entities } };
    if (oidc?.route === 'token' && ctx.status === 200) {
      for (const model of ['AuthorizationCode', 'DeviceCode'] as const) {
        const id = oidc.entities[model]?.jti;
        if (id !== undefined) await deps.codeRedeemed(model, id);
      }
    }
    if (oidc?.route === 'discovery') Object.assign(ctx.body as object, discoveryOfOurs(issuer));
    if (ctx.type === 'text/html' && typeof ctx.body === 'string') completePage(ctx, ctx.body, oidc?.session);
  };
}

/**
 * A page was refused for want of a session, and is rendered; then oidc-provider means to keep the session that it has
 * only just made up for the request, and cannot. There is nothing to keep.
 */
function isUnsavedSession(error: unknown): boolean {
  return error instanceof TypeError && error.message.startsWith('persist can only be called');
}

function answerFailure(ctx: Parameters<Middleware>[0], error: unknown, log: Logger): void {
  log.error({ err: error }, 'oidc-provider failed');
  ctx.status = 500;
  ctx.body = { error: 'server_error', error_description: 'something went wrong on our side' };
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

/**
 * Puts our page in place of a form that sends itself, and allows by name where the form of a page leads: the client, by
 * form_post or after signing out. Both addresses have been compared with the registered ones; nothing of a request that
 * was refused gets here.
 */
function completePage(ctx: Parameters<Middleware>[0], body: string, session: SessionState | undefined): void {
  const page = continuePage(body);
  if (page) ctx.body = page.body;
  const targets = [page?.action, session?.state?.postLogoutRedirectUri].filter((target) => target !== undefined);
  ctx.set('content-security-policy', contentSecurityPolicy(targets));
}
