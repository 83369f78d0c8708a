/**
 * Identity: who somebody is and what they may do. Organizations, users with their passwords, roles and permissions,
 * services with their credentials, and how the first operator comes to be; on these, sessions, OAuth and tokens.
 *
 * Tables (schema `identity`): organizations, subjects, users, memberships, password_credentials, sign_in_throttles,
 * roles, services, service_secrets, bootstrap, setup_codes; and those of sessions and OAuth.
 *
 * Invariants kept here: a subject (uid or client id) is never given out twice; another organization's object is 404;
 * nobody grants, or takes over, more than they may themselves; there is always an operator once there was one; no
 * password, secret or code is stored or logged in a form that can be used; an unknown name costs and answers the same
 * as a wrong password; guessing slows down and locks nobody out for good; no hashing happens inside a transaction.
 *
 * Elsewhere: signing keys and sealing (`keys`), trusted issuers and user secrets (`secrets`).
 */
import type { Settings } from '../../config.ts';
import type { App, Changes, Clock, Db, Jobs, Logger, Random } from '../../kernel/index.ts';
import type { Audit } from '../audit/index.ts';
import type { Keys } from '../keys/index.ts';
import { createBootstrap } from './bootstrap/bootstrap.ts';
import { setupRoutes } from './bootstrap/setup-routes.ts';
import { memberRoutes } from './members/member-routes.ts';
import { createMembers } from './members/member-service.ts';
import type { RemoteKeys } from './oauth/client-authentication/client-keys.ts';
import { createClientCache } from './oauth/clients/client-cache.ts';
import type { ExchangeToken } from './oauth/grants/token-exchange.ts';
import { createOauth } from './oauth/oauth.ts';
import { organizationRoutes } from './organizations/organization-routes.ts';
import { createOrganizations } from './organizations/organization-service.ts';
import { assetRoutes } from './pages/asset-routes.ts';
import { createCredentials, type OfferedCredentials } from './passwords/credentials.ts';
import { createPasswords } from './passwords/passwords.ts';
import { createThrottle } from './passwords/throttle.ts';
import { roleRoutes } from './roles/role-routes.ts';
import { createRoles } from './roles/role-service.ts';
import { serviceRoutes } from './services/service-routes.ts';
import { createServices, type ServiceHooks } from './services/service-service.ts';
import { createSessionEnding } from './sessions/session-ending.ts';
import { sessionRoutes } from './sessions/session-routes.ts';
import { createSessionService } from './sessions/session-service.ts';
import { createAuthenticator } from './tokens/authenticator.ts';
import { createPurge } from './tokens/purge.ts';
import { createRefreshService } from './tokens/refresh-service.ts';
import { loadSharedSecrets, type SharedSecrets } from './tokens/shared-secrets.ts';
import { isSubject } from './tokens/subject-store.ts';
import { createTokenMachinery } from './tokens/tokens.ts';
import { meRoutes } from './users/me-routes.ts';
import { userRoutes } from './users/user-routes.ts';
import { createUsers } from './users/user-service.ts';

export { type Granter, operatorOrganization } from './deps.ts';
export type { ExchangeParams } from './oauth/grants/token-exchange.ts';
export type { ResolvedRoles, Role } from './roles/role.ts';
export type { Service, ServiceSettings } from './services/service.ts';
export type { ServiceHooks } from './services/service-service.ts';
export type { Membership, User } from './users/user.ts';

/** What identity needs. */
export interface IdentityDeps {
  readonly settings: Pick<Settings, 'publicUrl' | 'allowPrivateNetworks' | 'adminUsername' | 'adminPassword'>;
  readonly db: Db;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly changes: Changes;
  readonly jobs: Pick<Jobs, 'cron'>;
  readonly audit: Pick<Audit, 'append' | 'appendAll'>;
  readonly keys: Keys;
  /** Keys that services publish, by the guarded client for outgoing requests. */
  readonly remoteKeys: RemoteKeys;
  /** Token exchange at `/oauth/token`: the secrets module's. */
  readonly exchangeToken?: ExchangeToken | undefined;
  /** What follows from a change of a service: the configuration module's. */
  readonly serviceHooks: ServiceHooks;
}

/** The module's front door. */
export type Identity = ReturnType<typeof createIdentity>;

/** Wires the module. `start` follows the changes of other nodes and sees to the first operator. */
export function createIdentity(deps: IdentityDeps) {
  const { settings, db, clock, jobs, keys } = deps;
  const sessionEnding = createSessionEnding(deps);
  const roles = createRoles(deps);
  const organizations = createOrganizations({ ...deps, roles });
  const passwords = createPasswords(deps);
  const users = createUsers({
    ...deps,
    roles,
    revokeAllOfUser: async (tx, userId, reason, options) => {
      await sessionEnding.endAllOfUser(tx, { userId, reason, ...options });
    },
  });
  const services = createServices({
    ...deps,
    ...settings,
    roles,
    signatureAlgorithms: () => keys.signatureAlgorithms(),
  });
  const members = createMembers({ ...deps, users, roles, ending: sessionEnding });
  const memberThrottle = createThrottle({ db, clock, purpose: 'members' });
  const signInThrottle = createThrottle({ db, clock, purpose: 'sign-in' });
  const reauthenticationThrottle = createThrottle({ db, clock, purpose: 're-authentication' });
  const credentials = createCredentials({ ...deps, passwords, roles, signInThrottle, reauthenticationThrottle });
  const bootstrap = createBootstrap({ ...deps, users, passwords });

  const issuer = settings.publicUrl;
  let secrets: SharedSecrets | undefined;
  const machinery = createTokenMachinery({ ...deps, issuer, roles });
  const refresh = createRefreshService({ ...deps, ending: sessionEnding });
  const oauth = createOauth({
    ...deps,
    issuer,
    roles,
    credentials,
    clients: createClientCache(deps),
    ending: sessionEnding,
    machinery,
    refresh,
    secrets: () => {
      if (!secrets) throw new Error('identity: used before it was started');
      return secrets;
    },
    exchangeToken: deps.exchangeToken,
  });
  const sessions = createSessionService({
    ...deps,
    issuer,
    roles,
    credentials,
    tokens: machinery.tokens,
    refresh,
    ending: sessionEnding,
  });
  const authenticate = createAuthenticator({ issuer, db, judge: machinery.judge, proofs: oauth.proofs });
  jobs.cron('identity-purge', '*/10 * * * *', createPurge(deps));
  jobs.cron('identity-sweep-throttles', '17 * * * *', () => signInThrottle.sweep());

  return {
    organizations,
    users,
    members,
    /** Sessions of a fixed length, for a layer that renews them by credentials of its own. */
    fixedSessions: {
      create: sessions.createFixedSession,
      renew: sessions.renewFixedSession,
      find: sessions.findLivingSession,
      end: sessionEnding.endSession,
    },
    /** Slows down what a layer above lets anybody try; counters of its own for each purpose. */
    createThrottle: (purpose: string) => createThrottle({ db, clock, purpose }),
    passwords,
    roles,
    services,
    verifyCredentials: (offered: OfferedCredentials) => credentials.verifyCredentials(offered),
    /** Finds the caller of a request: for `setAuthenticator`. */
    authenticate,
    /** The claims of one of our own access tokens that is good at this moment; undefined for anything else. */
    verifyAccessToken: async (token: string) => (await machinery.judge.judge(token))?.claims,
    /** True for a value that is, or ever was, the `sub` of a user or a service of ours. */
    isSubject,
    /** Makes access tokens with the claims all ours have. */
    tokens: machinery.tokens,
    /** The one-time set-up link, to be printed beside the ready line; undefined when there is an operator. */
    setupUrl: () => bootstrap.setupUrl(),
    async routes(app: App): Promise<void> {
      assetRoutes(app);
      setupRoutes({ bootstrap })(app);
      organizationRoutes({ db, organizations })(app);
      userRoutes({ db, users, roles, passwords })(app);
      memberRoutes({ ...deps, members, users, roles, throttle: memberThrottle })(app);
      meRoutes({ db, users, passwords, credentials })(app);
      roleRoutes({ db, roles })(app);
      serviceRoutes({ db, services, roles })(app);
      sessionRoutes({ db, clock, sessions, ending: sessionEnding })(app);
      await oauth.routes(app);
    },
    async start(): Promise<void> {
      roles.start();
      secrets = await loadSharedSecrets(deps);
      await oauth.start();
      await bootstrap.start();
    },
    async stop(): Promise<void> {
      await oauth.stop();
      roles.stop();
    },
  };
}
