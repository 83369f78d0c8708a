/**
 * OAuth 2.1 and OpenID Connect over `oidc-provider`: wiring. What the library decides and what is ours is told in
 * docs/decisions/0010-oauth-by-oidc-provider.md.
 */
import type Provider from 'oidc-provider';
import type { App, Changes, Clock, Db, Logger, Random } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Keys } from '../../keys/index.ts';
import type { Credentials } from '../passwords/credentials.ts';
import type { ResolvedRoles } from '../roles/role.ts';
import type { Roles } from '../roles/role-service.ts';
import type { SessionEnding } from '../sessions/session-ending.ts';
import { createProofs, type Proofs } from '../tokens/dpop.ts';
import type { RefreshSession } from '../tokens/refresh-service.ts';
import type { SharedSecrets } from '../tokens/shared-secrets.ts';
import type { TokenMachinery } from '../tokens/tokens.ts';
import { createClientUsers } from './accounts.ts';
import { createAdapterFactory } from './adapter/adapter.ts';
import { createArtifactSeal } from './adapter/artifact-seal.ts';
import { completeArtifact } from './adapter/artifact-store.ts';
import { createAudiences } from './audiences.ts';
import { createClientAuthentication } from './client-authentication/authenticate-client.ts';
import type { RemoteKeys } from './client-authentication/client-keys.ts';
import { clientMetadata } from './client-metadata.ts';
import type { OAuthClient } from './clients/client.ts';
import type { ClientCache } from './clients/client-cache.ts';
import { cookieRules } from './cookies.ts';
import { createGrantSessions } from './grant-sessions.ts';
import { createClientCredentialsGrant } from './grants/client-credentials.ts';
import { createRefreshGrant } from './grants/refresh-token.ts';
import type { ExchangeToken } from './grants/token-exchange.ts';
import { createHandOver } from './hand-over.ts';
import { createIntrospection } from './introspection.ts';
import { createIssueRecorder } from './issue-recorder.ts';
import { oauthRoutes } from './oauth-routes.ts';
import { createFormTokens } from './pages/form-token.ts';
import { createProviderPages } from './pages/provider-pages.ts';
import { createPresentProvider } from './present-provider.ts';
import { buildProvider } from './provider.ts';
import { createProviderMiddleware } from './provider-middleware.ts';
import { createResourceServers } from './resource-servers.ts';
import { createRevocation } from './revocation.ts';
import { createTokenClaims } from './token-claims.ts';
import { createTokenEndpoint } from './token-endpoint.ts';
import { createUserinfo } from './userinfo.ts';

export interface OAuthDeps {
  readonly issuer: string;
  readonly db: Db;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly changes: Pick<Changes, 'watch'>;
  readonly audit: Pick<Audit, 'append' | 'appendAll'>;
  readonly keys: Pick<Keys, 'signingJwks'>;
  readonly roles: Pick<Roles, 'resolve'>;
  readonly credentials: Pick<Credentials, 'verifyCredentials' | 'isUnchanged'>;
  readonly clients: ClientCache;
  readonly ending: SessionEnding;
  readonly machinery: TokenMachinery;
  readonly refresh: RefreshSession;
  /** The secrets of all nodes; there once the module has started. */
  readonly secrets: () => SharedSecrets;
  readonly remoteKeys: RemoteKeys;
  /** Token exchange (RFC 8693): the secrets module's. */
  readonly exchangeToken: ExchangeToken | undefined;
}

const noRoles: ResolvedRoles = { names: [], permissions: new Set(), operator: false };

/** Wires OAuth. `start` needs the shared secrets and the signing keys. */
export function createOauth(deps: OAuthDeps) {
  const { issuer, db, clock, random, audit, keys, roles, clients, ending, machinery } = deps;
  const { judge, verifier, tokens } = machinery;
  const cookies = cookieRules(issuer);
  let seal: ReturnType<typeof createArtifactSeal> | undefined;
  let proofs: ReturnType<typeof createProofs> | undefined;
  let provider: (() => Provider) | undefined;

  const users = createClientUsers({ db, roles, clients });
  const audiences = createAudiences({ db, issuer });
  const describeResource = createResourceServers({ issuer, clients, audiences });
  const recordIssue = createIssueRecorder({ db, audit });
  const authenticateClient = createClientAuthentication({ ...deps, findClient: clients.find });
  const lateProofs: Proofs = { check: (input) => present(proofs).check(input) };

  const handOver = createHandOver({ issuer, cookies, callback: () => present(provider)().callback() });
  const resolveRoles = (client: OAuthClient) =>
    client.roleIds.length === 0
      ? Promise.resolve(noRoles)
      : db.read((tx) => roles.resolve(tx, client.organization, client.roleIds));

  /** Everything of the provider but its signing keys. */
  const prepare = (secrets: SharedSecrets) => {
    const artifactSeal = createArtifactSeal({ secrets, random });
    seal = artifactSeal;
    proofs = createProofs({ db, clock, nonceSecret: secrets.dpopNonceSecret });
    const hooks = createGrantSessions({ clock, random, audit, ending, seal: artifactSeal });
    const adapter = createAdapterFactory({
      db,
      clock,
      seal: artifactSeal,
      hooks: {
        ...hooks,
        findClient: async (id) => {
          const client = await clients.find(id);
          return client && clientMetadata(client);
        },
      },
    });
    return {
      ...deps,
      secrets,
      cookies,
      adapter,
      describeResource,
      findAccount: users.findAccount,
      customizeToken: createTokenClaims({ db, issuer, seal: artifactSeal, clients, users, tokens, recordIssue }),
      pages: createProviderPages(),
      middleware: createProviderMiddleware({
        issuer,
        log: deps.log,
        codeRedeemed: (model, id) =>
          db.transaction((tx) => completeArtifact(tx, artifactSeal.idHash(model, id), clock.now())),
      }),
      refreshGrant: createRefreshGrant({
        db,
        clock,
        seal: () => artifactSeal,
        refresh: deps.refresh,
        findAccount: users.findAccount,
        describeResource,
      }),
    };
  };

  return {
    /** DPoP proofs, for the authenticator of our own API. */
    proofs: lateProofs,
    findClient: (clientId: string) => clients.find(clientId),
    routes: (app: App): Promise<void> =>
      oauthRoutes({
        ...deps,
        cookies,
        users,
        provider: () => present(provider)(),
        formTokens: createFormTokens(() => deps.secrets().formKey),
        authenticateClient,
        handOver,
        token: createTokenEndpoint({
          ...deps,
          authenticateClient,
          proofs: lateProofs,
          handOver,
          issueClientCredentials: createClientCredentialsGrant({
            issuer,
            audiences,
            resolveRoles,
            tokens,
            recordIssue,
          }),
        }),
        introspect: createIntrospection({ issuer, db, clock, judge, authenticateClient }),
        revoke: createRevocation({ issuer, db, clock, audit, verifier, ending, authenticateClient }),
        userinfo: createUserinfo({ issuer, judge, proofs: lateProofs, clients }),
      })(app),
    /** From now on the provider is that of the signing keys of each moment: requests under way end on the old one. */
    async start(): Promise<void> {
      clients.start();
      const parts = prepare(deps.secrets());
      provider = createPresentProvider({ keys, build: (jwks) => buildProvider(parts, jwks) });
    },
    async stop(): Promise<void> {
      clients.stop();
    },
    get seal() {
      return present(seal);
    },
  };
}

function present<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('identity: used before it was started');
  return part;
}
