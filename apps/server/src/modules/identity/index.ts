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
import { organizationRoutes } from './organizations/organization-routes.ts';
import { createOrganizations } from './organizations/organization-service.ts';
import { assetRoutes } from './pages/asset-routes.ts';
import { createCredentials, type OfferedCredentials } from './passwords/credentials.ts';
import { createPasswords } from './passwords/passwords.ts';
import { createThrottle } from './passwords/throttle.ts';
import { roleRoutes } from './roles/role-routes.ts';
import { createRoles } from './roles/role-service.ts';
import { serviceRoutes } from './services/service-routes.ts';
import { createServices } from './services/service-service.ts';
import { createSessionEnding } from './sessions/session-ending.ts';
import { meRoutes } from './users/me-routes.ts';
import { userRoutes } from './users/user-routes.ts';
import { createUsers } from './users/user-service.ts';

export { type Granter, operatorOrganization } from './deps.ts';
export type { ResolvedRoles, Role } from './roles/role.ts';
export type { Service, ServiceSettings } from './services/service.ts';
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
  readonly audit: Pick<Audit, 'append'>;
  readonly keys: Keys;
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
  const signInThrottle = createThrottle({ db, clock, purpose: 'sign-in' });
  const reauthenticationThrottle = createThrottle({ db, clock, purpose: 're-authentication' });
  const credentials = createCredentials({ ...deps, passwords, roles, signInThrottle, reauthenticationThrottle });
  const bootstrap = createBootstrap({ ...deps, users, passwords });
  jobs.cron('identity-sweep-throttles', '17 * * * *', () => signInThrottle.sweep());

  return {
    organizations,
    users,
    passwords,
    roles,
    services,
    verifyCredentials: (offered: OfferedCredentials) => credentials.verifyCredentials(offered),
    /** The one-time set-up link, to be printed beside the ready line; undefined when there is an operator. */
    setupUrl: () => bootstrap.setupUrl(),
    routes(app: App): void {
      assetRoutes(app);
      setupRoutes({ bootstrap })(app);
      organizationRoutes({ db, organizations })(app);
      userRoutes({ db, users, roles, passwords })(app);
      meRoutes({ db, users, passwords, credentials })(app);
      roleRoutes({ db, roles })(app);
      serviceRoutes({ db, services, roles })(app);
    },
    async start(): Promise<void> {
      roles.start();
      await bootstrap.start();
    },
    async stop(): Promise<void> {
      roles.stop();
    },
  };
}
