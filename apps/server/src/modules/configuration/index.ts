/**
 * Configuration: namespaces of services, their immutable numbered versions, secret values, and how all of it reaches
 * the agents that keep processes in sync.
 *
 * Tables (schema `configuration`): namespaces, extensions, versions, secret_values, used_references, client_secrets,
 * proposals; those of agents and rollouts stand in their folders' front files.
 *
 * Invariants kept here: versions of a namespace are 1, 2, 3 … without gap or repeat, and never change; a version is
 * published against the newest one or not at all; what inherits or refers is published anew when its source changes, so
 * one number says everything about what an instance runs; a secret is sealed at rest, shown by fingerprint, and leaves
 * only to who may reveal it (audited) or, encrypted, to an agent's own key; the audit entry, the notice to agents and the
 * begin of a rollout are in the transaction of the publication.
 *
 * Elsewhere: services and permissions (`identity`), sealing and signing (`keys`), what a configuration is
 * (`packages/configuration`), the agent itself (`packages/sdk`, `apps/cli`), the original's routes (`reuni`).
 */
import type { Settings } from '../../config.ts';
import type { App, Changes, Clock, Db, Jobs, Logger, Metrics, Random } from '../../kernel/index.ts';
import type { Audit } from '../audit/index.ts';
import type { Identity, ServiceHooks } from '../identity/index.ts';
import type { Keys } from '../keys/index.ts';
import { createAgents } from './agents/agents.ts';
import { createDelivery } from './delivery/delivery.ts';
import { namespaceRoutes } from './namespaces/namespace-routes.ts';
import { createNamespaces } from './namespaces/namespace-service.ts';
import { createProposalEnding } from './proposals/proposal-ending.ts';
import { proposalRoutes } from './proposals/proposal-routes.ts';
import { createProposalSchedule } from './proposals/proposal-schedule.ts';
import { createProposals } from './proposals/proposal-service.ts';
import { createRedisPublishing } from './redis/redis-publishing.ts';
import { createClientSecrets } from './references/client-secrets.ts';
import { createRollouts } from './rollouts/rollouts.ts';
import { createSchemas } from './schemas/schemas.ts';
import { revealRoutes } from './values/reveal-routes.ts';
import { createSecretValues } from './values/secret-values.ts';
import { createComparison } from './versions/compare-written.ts';
import { createContent } from './versions/content.ts';
import { createRefresh } from './versions/refresh.ts';
import { createRefreshQueue } from './versions/refresh-queue.ts';
import { versionRoutes } from './versions/version-routes.ts';
import { createVersions } from './versions/version-service.ts';
import type { Published } from './versions/version-writer.ts';

export type { Namespace, NamespaceSettings } from './namespaces/namespace.ts';
export { toVisible } from './values/secret-values.ts';
export type { Version } from './versions/version.ts';
export { readWritten } from './versions/written.ts';

/** What the module needs. */
export interface ConfigurationDeps {
  readonly settings: Pick<Settings, 'publicUrl' | 'redisUrl'>;
  readonly db: Db;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly changes: Changes;
  readonly jobs: Jobs;
  readonly metrics: Metrics;
  readonly audit: Pick<Audit, 'append' | 'appendAll'>;
  readonly keys: Pick<
    Keys,
    'publicKeysOf' | 'onChange' | 'seal' | 'open' | 'sign' | 'inUse' | 'findVerificationKey' | 'configurationKeys'
  >;
  readonly identity: Pick<Identity, 'services'>;
}

/** The module's front door. */
export type Configuration = ReturnType<typeof createConfiguration>;

/** Wires the module. */
export function createConfiguration(deps: ConfigurationDeps) {
  const { db, audit, identity } = deps;
  const { services } = identity;
  const secretValues = createSecretValues(deps);
  const schemas = createSchemas();
  const queue = createRefreshQueue(deps);
  const clientSecrets = createClientSecrets({ ...deps, services, queue });
  const content = createContent({ ...deps, secretValues, clientSecrets });
  const namespaces = createNamespaces({ ...deps, services, schemas, queue, clientSecrets });
  const agents = createAgents({ ...deps, services, issuer: deps.settings.publicUrl });
  // What follows from a publication, in its transaction and in this order.
  const published: Published = async (tx, { namespace, version }) => {
    await delivery.published(tx, { namespace, version });
    await rollouts.begin(tx, namespace, version);
    await redis?.published(tx, { namespace, version });
  };
  const versions = createVersions({ ...deps, content, schemas, clientSecrets, queue, published });
  const refresh = createRefresh({ ...deps, queue, versions });
  const ending = createProposalEnding({ ...deps, versions });
  const schedule = createProposalSchedule({ ...deps, ending });
  const proposals = createProposals({ ...deps, versions, clientSecrets, ending, schedule });
  const { callers } = agents;
  const { redisUrl } = deps.settings;
  const redis = redisUrl === undefined ? undefined : createRedisPublishing({ ...deps, url: redisUrl });
  const rollouts = createRollouts({ ...deps, services, namespaces, callers, rollback: versions.rollback });
  const delivery = createDelivery({ ...deps, callers, secretValues, rollouts, issuer: deps.settings.publicUrl });

  return {
    namespaces,
    versions,
    /** What publishing would change, secrets compared by value: for callers who may see secrets. */
    compareWritten: createComparison({ secretValues }),
    agents,
    rollouts,
    /** For the services module, which does not know this one. */
    serviceHooks: {
      serviceDeleting: namespaces.serviceDeleting,
      secretAdded: clientSecrets.secretAdded,
      secretDeleting: clientSecrets.assertNotUsed,
    } satisfies ServiceHooks,
    routes(app: App): void {
      namespaceRoutes({ db, namespaces, versions, services, proposals })(app);
      versionRoutes({ db, namespaces, versions, proposals })(app);
      proposalRoutes({ db, namespaces, proposals })(app);
      revealRoutes({ db, audit, namespaces, secretValues })(app);
      agents.routes(app);
      delivery.routes(app);
      rollouts.routes(app);
    },
    async start(): Promise<void> {
      refresh.start();
      await delivery.start();
      await rollouts.start();
      redis?.start();
    },
    async stop(): Promise<void> {
      await refresh.stop();
      await redis?.stop();
      await rollouts.stop();
      await delivery.stop();
    },
  };
}
