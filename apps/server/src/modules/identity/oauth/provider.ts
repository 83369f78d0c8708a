import Provider, { type AdapterFactory, type Configuration, errors, type FindAccount, type JWKS } from 'oidc-provider';
import {
  addSeconds,
  type Clock,
  createSystemClock,
  type Db,
  epochSeconds,
  type Logger,
} from '../../../kernel/index.ts';
import {
  accessTokenSeconds,
  authorizationCodeSeconds,
  browserAbsoluteSeconds,
  browserIdleSeconds,
  deviceCodeSeconds,
  idTokenSeconds,
  interactionSeconds,
  refreshIdleSeconds,
  sessionAbsoluteSeconds,
} from '../tokens/limits.ts';
import type { SharedSecrets } from '../tokens/shared-secrets.ts';
import { useIdOnce } from '../tokens/token-store.ts';
import { resourceOf } from './audiences.ts';
import { isTicket } from './client-authentication/ticket.ts';
import { grantTypes } from './clients/client.ts';
import type { ClientCache } from './clients/client-cache.ts';
import { type CookieRules, createCookieSigner } from './cookies.ts';
import { mountPath } from './hand-over.ts';
import { createGrantLoader, createInteractionPolicy } from './interaction-policy.ts';
import type { ProviderPages } from './pages/provider-pages.ts';
import type { Middleware } from './provider-middleware.ts';
import { currentOrigin } from './request-context.ts';
import type { DescribeResource } from './resource-servers.ts';
import { scopeNames } from './scopes.ts';
import { type createTokenClaims, defaultResource } from './token-claims.ts';

export interface ProviderDeps {
  readonly issuer: string;
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Logger;
  readonly secrets: SharedSecrets;
  readonly cookies: CookieRules;
  readonly adapter: AdapterFactory;
  readonly clients: Pick<ClientCache, 'find'>;
  readonly describeResource: DescribeResource;
  readonly findAccount: FindAccount;
  readonly customizeToken: ReturnType<typeof createTokenClaims>;
  readonly pages: ProviderPages;
  /** Runs around every request: headers of pages, discovery. */
  readonly middleware: Middleware;
  readonly refreshGrant: (provider: Provider) => (ctx: never) => Promise<void>;
}

/** Paths of oidc-provider's endpoints below the mount path. */
export const routes = {
  authorization: '/authorize',
  token: '/token',
  pushed_authorization_request: '/par',
  device_authorization: '/device_authorization',
  code_verification: '/device',
  end_session: '/logout',
  jwks: '/jwks',
} as const;

/**
 * Builds oidc-provider over the signing keys of this moment. It is built anew at each key rotation (1-3 ms); everything
 * that outlives it (storage, cookie keys, nonce secret) comes from outside.
 */
export function buildProvider(deps: ProviderDeps, jwks: JWKS): Provider {
  const provider = new Provider(deps.issuer, { ...configuration(deps), jwks });
  // Behind our front, which sets these headers itself and lets no other through.
  provider.proxy = true;
  provider.Client.prototype.compareClientSecret = function compare(this: { clientId: string }, value: string) {
    return isTicket(this.clientId, value);
  };
  // Its own way reads first and writes later; ours lets the insert decide, over all nodes.
  provider.ReplayDetection.unique = (clientId: string, id: string, exp: number) =>
    deps.db.transaction((tx) =>
      useIdOnce(tx, { issuer: clientId, id, expiresAt: addSeconds(new Date(exp * 1000), 1), now: deps.clock.now() }),
    );
  provider.registerGrantType('refresh_token', deps.refreshGrant(provider) as never, [
    'refresh_token',
    'scope',
    'resource',
  ]);
  // Answered by our front; registered so that clients may have them and discovery names them.
  for (const grant of [grantTypes.client_credentials, grantTypes.token_exchange]) {
    provider.registerGrantType(grant, () => {
      throw new errors.UnsupportedGrantType();
    });
  }
  provider.on('server_error', (_ctx, error) => deps.log.error({ err: error }, 'oidc-provider failed'));
  provider.use(deps.middleware);
  return provider;
}

function configuration(deps: ProviderDeps): Configuration {
  const { cookies, secrets, clients } = deps;
  const cookieOptions = { httpOnly: true, sameSite: 'lax', secure: cookies.secure, signed: true } as const;
  return {
    adapter: deps.adapter,
    clients: [],
    findAccount: deps.findAccount,
    loadExistingGrant: createGrantLoader({ clients }),
    routes,
    responseTypes: ['code'],
    scopes: [...scopeNames],
    claims: { openid: ['sub', 'org', 'roles'], profile: ['preferred_username'] },
    subjectTypes: ['public'],
    clientAuthMethods: ['client_secret_post', 'none'],
    clientDefaults: { id_token_signed_response_alg: 'ES256', grant_types: [], response_types: [] },
    enabledJWA: {
      idTokenSigningAlgValues: ['ES256', 'RS256'],
      dPoPSigningAlgValues: ['ES256', 'EdDSA'],
    },
    pkce: { required: () => true },
    allowOmittingSingleRegisteredRedirectUri: false,
    clientBasedCORS: () => false, // our front sets the headers
    cookies: {
      names: { session: cookies.session, interaction: cookies.interaction, resume: cookies.resume },
      long: { ...cookieOptions, path: '/' },
      short: cookieOptions,
      keys: createCookieSigner(secrets.cookieKeys) as never,
    },
    clockTolerance: 5,
    conformIdTokenClaims: true,
    rotateRefreshToken: true,
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    formats: { customizers: { jwt: deps.customizeToken as never } },
    interactions: {
      policy: createInteractionPolicy(),
      url: (_ctx, interaction) => `${mountPath}/interaction/${interaction.uid}`,
    },
    extraParams: ['audience'],
    renderError: deps.pages.renderError,
    ttl: {
      AccessToken: accessTokenSeconds,
      AuthorizationCode: authorizationCodeSeconds,
      DeviceCode: deviceCodeSeconds,
      Grant: sessionAbsoluteSeconds,
      IdToken: idTokenSeconds,
      Interaction: interactionSeconds,
      RefreshToken: refreshIdleSeconds,
      Session: (_ctx, session) => browserSeconds(session.loginTs),
    },
    features: {
      devInteractions: { enabled: false },
      // Userinfo, introspection and revocation are ours, because ours know JWT access tokens.
      userinfo: { enabled: false },
      introspection: { enabled: false },
      revocation: { enabled: false },
      clientCredentials: { enabled: false },
      registration: { enabled: false },
      requestObjects: { enabled: false },
      claimsParameter: { enabled: false },
      pushedAuthorizationRequests: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: deps.pages.logout,
        postLogoutSuccessSource: deps.pages.loggedOut,
      },
      deviceFlow: {
        enabled: true,
        charset: 'base-20',
        mask: '****-****',
        deviceInfo: () => ({ address: currentOrigin().address ?? '' }),
        userCodeInputSource: deps.pages.userCodeInput,
        userCodeConfirmSource: deps.pages.userCodeConfirm,
        successSource: deps.pages.deviceSuccess,
      },
      dPoP: { enabled: true, nonceSecret: secrets.dpopNonceSecret, requireNonce: () => false, allowReplay: false },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: async () => true,
        defaultResource: async (ctx, _client, oneOf) => {
          if (oneOf) return oneOf;
          const audience = ctx.oidc.params?.['audience'];
          return typeof audience === 'string' ? resourceOf(audience) : defaultResource;
        },
        getResourceServerInfo: (_ctx, resource, client) => deps.describeResource(client.clientId, resource),
      },
    },
  };
}

/** oidc-provider's own clock. */
const providerClock = createSystemClock();

/** How long a browser's sign-in lives from now: the idle limit, cut by the absolute one. */
function browserSeconds(signedInAt: number | undefined): number {
  if (signedInAt === undefined) return browserIdleSeconds;
  // oidc-provider stamps sign-ins by the machine's clock.
  const age = epochSeconds(providerClock) - signedInAt;
  return Math.max(1, Math.min(browserIdleSeconds, browserAbsoluteSeconds - age));
}
