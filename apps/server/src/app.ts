import { createRequire } from 'node:module';
import type { Settings } from './config.ts';
import {
  type App,
  type Changes,
  type Clock,
  createChanges,
  createDb,
  createHttp,
  createJobs,
  createMetrics,
  type Db,
  healthRoutes,
  installOpenApi,
  type Jobs,
  type Logger,
  type Metrics,
  type Random,
  serveOpenApi,
  setAuthenticator,
} from './kernel/index.ts';
import { createAudit, createWebhooks } from './modules/audit/index.ts';
import { type Configuration, createConfiguration } from './modules/configuration/index.ts';
import { createDeclaration } from './modules/declaration/index.ts';
import { createIdentity, type Identity } from './modules/identity/index.ts';
import { createKeys, type Keys, openRootKeys } from './modules/keys/index.ts';
import { createSecrets, type Secrets } from './modules/secrets/index.ts';

/** The release this is. */
export const version: string = (createRequire(import.meta.url)('../package.json') as { version: string }).version;

/** A wired node: started, it serves; stopped, it leaves nothing running. */
export interface Gatehouse {
  readonly app: App;
  readonly db: Db;
  readonly metrics: Metrics;
  readonly changes: Changes;
  readonly jobs: Jobs;
  readonly modules: Modules;
  start(): Promise<void>;
  /** Ends serving: no new work, the work under way is finished. */
  stop(): Promise<void>;
}

/** The front doors of the modules, for tests and the start-up. */
export type Modules = Awaited<ReturnType<typeof createModules>>['modules'];

/** Wires one node over an already migrated database. This is the table of contents of the server. */
export async function createGatehouse(options: {
  settings: Settings;
  connectionString: string;
  clock: Clock;
  random: Random;
  log: Logger;
}): Promise<Gatehouse> {
  const { settings, clock, random, log, connectionString } = options;
  const metrics = createMetrics();
  const db = createDb({
    connectionString,
    onError: (error) => log.warn({ err: error }, 'a database connection was lost'),
  });
  try {
    return await wire({ settings, clock, random, log, connectionString, metrics, db });
  } catch (error) {
    await db.close();
    throw error;
  }
}

async function wire(
  deps: Pick<ModuleDeps, 'settings' | 'clock' | 'random' | 'log' | 'db' | 'metrics'> & { connectionString: string },
): Promise<Gatehouse> {
  const { settings, clock, random, log, connectionString, metrics, db } = deps;
  const changes = createChanges({ db, connectionString, log });
  const jobs = createJobs({ db, log });
  const app = await createHttp({
    log,
    metrics,
    random,
    publicUrl: settings.publicUrl,
    trustProxy: settings.trustProxy,
  });
  await installOpenApi(app, { version, publicUrl: settings.publicUrl });

  const { modules, lifecycle } = await createModules({ settings, clock, random, log, db, changes, jobs, metrics });
  setAuthenticator(app, modules.identity.authenticate);
  let stopping = false;
  const checks = [() => (stopping ? 'This node is stopping.' : undefined), modules.keys.readiness];
  const routes = [
    healthRoutes({ db, clock, metrics, version, checks }),
    modules.audit.routes,
    modules.webhooks.routes,
    modules.keys.routes,
    modules.identity.routes,
    modules.secrets.routes,
    modules.configuration.routes,
    modules.declaration.routes,
    ...(modules.reuni ? [modules.reuni.routes] : []),
  ];
  for (const route of routes) {
    await app.register(async (child) => route(child as unknown as App));
  }
  await serveOpenApi(app);
  await app.ready();

  const started: { stop(): Promise<void> }[] = [];
  return {
    app,
    db,
    metrics,
    changes,
    jobs,
    modules,
    async start() {
      for (const part of [changes, ...lifecycle, jobs]) {
        await part.start();
        started.unshift(part);
      }
    },
    async stop() {
      stopping = true;
      await app.close();
      for (const part of started.splice(0)) await part.stop();
      await db.close();
    },
  };
}

interface ModuleDeps {
  settings: Settings;
  clock: Clock;
  random: Random;
  log: Logger;
  db: Db;
  changes: Changes;
  jobs: Jobs;
  metrics: Metrics;
}

/** The modules, lowest first. Where a lower one needs a higher one, it is handed a function. */
async function createModules(deps: ModuleDeps) {
  const rootKeys = await openRootKeys(deps);
  const audit = createAudit({
    ...deps,
    signCheckpoint: (payload) => keys.sign({ keyring: 'audit', header: { typ: 'gatehouse-checkpoint+jwt' }, payload }),
    auditKeys: async () => ({ keys: keys.auditKeys().map((key) => ({ ...key })) }),
  });
  const keys: Keys = createKeys({ ...deps, audit, rootKeys });
  const webhooks = createWebhooks({ ...deps, audit, sealing: keys });
  const identity: Identity = createIdentity({
    ...deps,
    audit,
    keys,
    remoteKeys: { get: (address, use, options) => secrets.remoteKeys.get(address, use, options) },
    exchangeToken: (input) => secrets.exchangeToken(input),
    serviceHooks: {
      serviceDeleting: (tx, service) => configuration.serviceHooks.serviceDeleting(tx, service),
      secretAdded: (tx, service, secret) => configuration.serviceHooks.secretAdded(tx, service, secret),
      secretDeleting: (tx, service, secretId) => configuration.serviceHooks.secretDeleting(tx, service, secretId),
    },
  });
  const secrets: Secrets = createSecrets({
    ...deps,
    audit,
    keys,
    verifyOwn: identity.verifyAccessToken,
    findRecipients: (organization, audiences) =>
      deps.db.read((tx) => identity.services.findServicesByAudience(tx, organization, audiences)),
    isOwnSubject: (subject) => deps.db.read((tx) => identity.isSubject(tx, subject)),
  });
  const configuration: Configuration = createConfiguration({ ...deps, audit, keys, identity });
  const declaration = createDeclaration({ ...deps, audit, identity, secrets, configuration, webhooks });
  // Loaded by who has it: it is off unless the settings name it.
  const reuni = deps.settings.modules.includes('reuni')
    ? (await import('./modules/reuni/index.ts')).createReuni({ ...deps, audit, identity, configuration })
    : undefined;
  return {
    modules: { audit, webhooks, keys, identity, secrets, configuration, declaration, reuni },
    lifecycle: [keys, audit, webhooks, identity, configuration, ...(reuni ? [reuni] : []), declaration],
  };
}
