import cluster from 'node:cluster';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@gatehouse/postgres';
import type { Settings } from './config.ts';
import type { Logger, MetricsSource } from './kernel/index.ts';
import { createLog } from './kernel/log.ts';

/** Longest time that requests under way get to finish after SIGTERM. */
const drainSeconds = 25;
/** Where a worker finds the database that its primary has opened. */
const workerDatabaseVariable = 'GATEHOUSE_WORKER_DATABASE_URL';

/** Loads the server proper: a second of work, which goes on while PostgreSQL starts. */
async function loadServer() {
  const [{ createGatehouse }, kernel] = await Promise.all([import('./app.ts'), import('./kernel/index.ts')]);
  return { createGatehouse, ...kernel };
}
type ServerCode = Awaited<ReturnType<typeof loadServer>>;

/** Runs one node until SIGTERM or SIGINT; prints the ready line when it serves. */
export async function runNode(settings: Settings): Promise<void> {
  const log = createLog({ level: settings.logLevel });
  const inherited = cluster.isWorker ? process.env[workerDatabaseVariable] : undefined;
  const opening: Store | Promise<Store> =
    inherited === undefined ? openStore(settings, log) : { connectionString: inherited };
  const [store, server] = await Promise.all([opening, loadServer()]);
  try {
    if (inherited === undefined) await server.migrate(store.connectionString);
    await serve(settings, store, log, server);
  } catch (error) {
    await store.postgres?.stop();
    throw error;
  }
}

interface Store {
  connectionString: string;
  postgres?: EmbeddedPostgres;
}

async function openStore(settings: Settings, log: Logger): Promise<Store> {
  if (settings.databaseUrl !== undefined) return { connectionString: settings.databaseUrl };
  const postgres = await startEmbeddedPostgres({
    dataDir: settings.dataDir,
    log,
    // Its log line says why. Whoever keeps this process running may try again; without a database it serves nobody.
    onFailed: () => process.exit(1),
  });
  return { connectionString: postgres.connectionString, postgres };
}

async function serve(settings: Settings, store: Store, log: Logger, server: ServerCode): Promise<void> {
  const gatehouse = await server.createGatehouse({
    settings,
    connectionString: store.connectionString,
    clock: server.createSystemClock(),
    random: server.createSystemRandom(),
    log,
  });
  const metrics = cluster.isWorker ? undefined : await openMetrics(server, gatehouse.metrics, settings);
  const stop = onceOnly(async (signal: string) => {
    log.info({ signal }, 'stopping: finishing the requests under way');
    const late = setTimeout(() => {
      log.error(`requests were still running after ${drainSeconds} s; ending them`);
      process.exit(1);
    }, drainSeconds * 1000);
    late.unref();
    await gatehouse.stop();
    metrics?.close();
    await store.postgres?.stop();
    log.info('stopped');
    process.exit(0);
  });
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));
  if (cluster.isWorker) process.on('disconnect', () => void stop('the primary ended'));

  if (settings.allowPrivateNetworks.length > 0) {
    log.warn({ origins: settings.allowPrivateNetworks }, 'outgoing requests may reach these private addresses');
  }
  await gatehouse.start();
  await gatehouse.app.listen({ host: settings.host, port: settings.port });
  log.info({ url: settings.publicUrl, host: settings.host, port: settings.port, pid: process.pid }, 'ready');
  // Of several workers the first speaks for all.
  if (!cluster.isWorker || cluster.worker?.id === 1) {
    process.stdout.write(readyText(settings, gatehouse.modules.identity.setupUrl()));
  }
}

async function openMetrics(server: ServerCode, source: MetricsSource, settings: Settings): Promise<Server | undefined> {
  if (settings.metricsPort === undefined) return undefined;
  return server.serveMetrics(source, { host: settings.host, port: settings.metricsPort });
}

function readyText(settings: Settings, setUpLink: string | undefined): string {
  const lines = [`Gatehouse is ready at ${settings.publicUrl} (API description: ${settings.publicUrl}/docs)`];
  if (setUpLink !== undefined) lines.push(`No operator exists yet. Open this link once to make one: ${setUpLink}`);
  return `${lines.join('\n')}\n`;
}

/**
 * Opens and migrates the store, then keeps `settings.workers` processes on it that share the port.
 * A worker that ends is replaced, at most once a second; when workers keep failing from the start, the primary gives up.
 */
export async function runPrimary(settings: Settings): Promise<void> {
  const log = createLog({ level: settings.logLevel });
  const [store, server] = await Promise.all([openStore(settings, log), loadServer()]);
  try {
    await server.migrate(store.connectionString);
  } catch (error) {
    await store.postgres?.stop();
    throw error;
  }
  const metrics = await openMetrics(server, server.createClusterMetrics(), settings);
  let stopping = false;
  let failuresInARow = 0;
  const fork = () => cluster.fork({ [workerDatabaseVariable]: store.connectionString });
  cluster.on('listening', () => {
    failuresInARow = 0;
  });
  const finish = async (code: number) => {
    stopping = true;
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    await Promise.all(
      workers.map(async (worker) => {
        const exit = once(worker, 'exit');
        worker.process.kill('SIGTERM');
        await exit;
      }),
    );
    metrics?.close();
    await store.postgres?.stop();
    process.exit(code);
  };
  cluster.on('exit', (worker, code, signal) => {
    if (stopping) return;
    failuresInARow += 1;
    log.error({ pid: worker.process.pid, code, signal }, 'a worker ended; starting another');
    if (failuresInARow > settings.workers * 3) {
      log.fatal('the workers keep failing; giving up');
      void finish(1);
    } else setTimeout(fork, 1000);
  });
  process.on('SIGTERM', () => void finish(0));
  process.on('SIGINT', () => void finish(0));
  for (let index = 0; index < settings.workers; index += 1) fork();
  const first = await Promise.race([once(cluster, 'listening'), once(cluster, 'exit')]);
  if (first.length > 0) log.info({ workers: settings.workers, port: settings.port }, 'workers started');
}

/** The second signal does not start a second stop. */
function onceOnly(fn: (reason: string) => Promise<void>): (reason: string) => Promise<void> {
  let running: Promise<void> | undefined;
  return (reason) => {
    running ??= fn(reason).catch((error: unknown) => {
      process.stderr.write(`gatehouse: stopping failed: ${(error as Error).message}\n`);
      process.exit(1);
    });
    return running;
  };
}
