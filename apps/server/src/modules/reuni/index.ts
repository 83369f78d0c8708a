/**
 * Reuni: the original configuration server's own routes under `/reuni/`, a thin layer over the same services, for its
 * command line, its web pages and its agents. Off unless `GATEHOUSE_MODULES` names it.
 *
 * Tables (schema `reuni`): sign_up_organization, users and organizations (the integers the original's clients know them
 * by), sessions (which sessions began here, and the hashes of their refresh tokens).
 *
 * Invariants kept here: only a session that began at `/reuni/login` is taken, and acts in every organization its user is
 * a member of; an organization that is not there and one that is another's are the same 403; every error has the
 * original's form and is never empty; no secret value passes: the agents' routes refuse a configuration that holds one,
 * and everybody else sees it masked; nothing is decided here that `identity` and `configuration` do not decide, and it
 * is audited there.
 *
 * Elsewhere: publishing on Redis (`configuration/redis`). docs/guides/move-from-reuni.md says what differs, and why.
 */
import type { App, Clock, Db, Random } from '../../kernel/index.ts';
import { AppError } from '../../kernel/index.ts';
import type { Audit } from '../audit/index.ts';
import type { Configuration } from '../configuration/index.ts';
import type { Identity } from '../identity/index.ts';
import { createAccess } from './access.ts';
import { accountRoutes } from './account-routes.ts';
import { sendError } from './answer.ts';
import { configurationRoutes } from './configuration-routes.ts';
import { createDirectory } from './directory.ts';
import { organizationRoutes } from './organization-routes.ts';
import { createRoutes } from './route.ts';
import { serviceRoutes } from './service-routes.ts';
import { createSignUp } from './sign-up.ts';

export { importReuni } from './import/import-reuni.ts';
export { readRename } from './import/import-rules.ts';
export { openReuniSource } from './import/source.ts';

/** What the layer needs. */
export interface ReuniDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly random: Pick<Random, 'bytes'>;
  readonly audit: Pick<Audit, 'append'>;
  readonly identity: Identity;
  readonly configuration: Configuration;
}

/** The layer's front door. */
export type Reuni = ReturnType<typeof createReuni>;

/** Wires the layer. `start` makes the organization of those who sign up. */
export function createReuni(deps: ReuniDeps) {
  const { identity } = deps;
  const access = createAccess(deps);
  const signUp = createSignUp(deps);
  const directory = createDirectory({ identity });
  const parts = { ...deps, signUp, directory };

  return {
    async routes(app: App): Promise<void> {
      await app.register(
        async (layer) => {
          // JSON under any content type, or none: see `readBody`.
          layer.removeAllContentTypeParsers();
          layer.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, parsed) => parsed(null, body));
          layer.setErrorHandler(sendError);
          layer.setNotFoundHandler((request, reply) => {
            sendError(new AppError('kernel.not_found', { detail: 'Not Found' }), request, reply);
          });
          const routes = createRoutes(layer, access);
          accountRoutes(routes, parts);
          organizationRoutes(routes, parts);
          serviceRoutes(routes, parts);
          configurationRoutes(routes, parts);
        },
        { prefix: '/reuni' },
      );
    },
    start: () => signUp.start(),
    async stop(): Promise<void> {},
  };
}
