/**
 * The declaration: makes exist what `gatehouse.yaml` says. It compares the declaration with what is there, shows the
 * plan, and does it through the front doors of identity, secrets, configuration and webhooks; it has no rule about users,
 * services, issuers, configurations or webhooks of its own.
 *
 * Table: `declaration.applied` (the content that the last start applied).
 * Invariants: one transaction, all or nothing; twice is a no-op; no secret value in a plan, an error, a log or the
 * audit; one apply at a time in the cluster; a password is set with its account and never again; nothing is deleted
 * without `prune`, and never anything of the operators' organization.
 * Elsewhere: the format is in `packages/contracts/src/declaration.ts`, the file's reader in `packages/declaration`.
 */
import type { Settings } from '../../config.ts';
import type { App, Clock, Db, Logger } from '../../kernel/index.ts';
import type { Audit, Webhooks } from '../audit/index.ts';
import type { Configuration } from '../configuration/index.ts';
import type { Identity } from '../identity/index.ts';
import type { Secrets } from '../secrets/index.ts';
import { declarationRoutes } from './declaration-routes.ts';
import { createDeclarationService } from './declaration-service.ts';
import { applyAtStart } from './start-declaration.ts';

/** What the module needs. */
export interface DeclarationDeps {
  readonly settings: Pick<Settings, 'declaration'>;
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Logger;
  readonly audit: Pick<Audit, 'append'>;
  readonly identity: Pick<Identity, 'organizations' | 'services' | 'roles' | 'users' | 'passwords'>;
  readonly secrets: Pick<Secrets, 'issuers'>;
  readonly configuration: Pick<Configuration, 'namespaces' | 'versions' | 'compareWritten'>;
  readonly webhooks: Webhooks;
}

/** Creates the module. `start` applies `GATEHOUSE_DECLARATION`: after identity has started, before the node serves. */
export function createDeclaration(deps: DeclarationDeps) {
  const { settings, identity, secrets } = deps;
  const service = createDeclarationService({ ...deps, issuers: secrets.issuers });
  return {
    plan: service.plan,
    apply: service.apply,
    routes(app: App): void {
      declarationRoutes(service)(app);
    },
    async start(): Promise<void> {
      if (settings.declaration === undefined) return;
      await applyAtStart(settings.declaration, { ...deps, passwords: identity.passwords, service });
    },
    async stop(): Promise<void> {},
  };
}

/** What {@link createDeclaration} gives. */
export type DeclarationModule = ReturnType<typeof createDeclaration>;
