import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './child.ts';
import { EmbeddedPostgresError, pathError, systemErrorCode } from './error.ts';
import { giveTo, type Runtime } from './identity.ts';
import { failureOf } from './output.ts';

/** What every step on the cluster needs to know. */
export interface ClusterContext {
  readonly runtime: Runtime;
  readonly lockFd: number;
  /** `<dataDir>/postgres`. */
  readonly directory: string;
  /** For tests: no fsync, lost at a power cut. */
  readonly ephemeral: boolean;
}

/** The role and the database of the application. The role is no superuser: what it is tricked into stays inside. */
export const applicationRole = 'gatehouse';
export const applicationDatabase = 'gatehouse';

/** Where the data is: PostgreSQL's own "data directory". */
export function clusterPath(directory: string): string {
  return join(directory, 'cluster');
}

/**
 * Makes the cluster when there is none, refuses one we cannot serve, and returns the password of the application role.
 * A new cluster is made beside its place and then renamed, so that it is there whole or not at all.
 */
export async function ensureCluster(context: ClusterContext): Promise<string> {
  const { directory, runtime } = context;
  const cluster = clusterPath(directory);
  const found = await inspectCluster(cluster);
  const known = await readPassword(directory);
  const password = known ?? randomBytes(32).toString('base64url');
  if (found === undefined) {
    if (known === undefined) await writePassword(directory, password);
    await initialise(context, password);
    return password;
  }
  if (found !== runtime.binaries.majorVersion) {
    throw new EmbeddedPostgresError(
      'version_mismatch',
      `The data directory ${cluster} was made by PostgreSQL ${found}; this release brings PostgreSQL ${runtime.binaries.majorVersion} and does not touch it. Start the release that made it, or move the data over with pg_upgrade or a dump.`,
    );
  }
  try {
    if (known === undefined) {
      // A lost password file is no lost data: whoever may write the directory may set a new one.
      await giveTo(runtime.initialiser, cluster);
      await runSql(context, cluster, [passwordStatement('ALTER', password)]);
      await writePassword(directory, password);
    }
    await giveTo(runtime.identity, cluster);
  } catch (cause) {
    throw pathError(cluster, cause);
  }
  return password;
}

/** The major version that made the cluster, or undefined when there is none. */
async function inspectCluster(cluster: string): Promise<string | undefined> {
  try {
    const entries = await readdir(cluster);
    if (entries.length === 0) return undefined;
    if (entries.includes('PG_VERSION') && entries.includes('global')) {
      const version = (await readFile(join(cluster, 'PG_VERSION'), 'utf8')).trim();
      await lstat(join(cluster, 'global', 'pg_control'));
      if (version !== '') return version;
    }
  } catch (cause) {
    if (systemErrorCode(cause) !== 'ENOENT') throw pathError(cluster, cause);
    const absent = await lstat(cluster).then(
      () => false,
      () => true,
    );
    if (absent) return undefined;
  }
  throw new EmbeddedPostgresError(
    'not_a_cluster',
    `The directory ${cluster} is not empty and not a whole PostgreSQL data directory. Restore it from a backup, or move it away to begin with an empty database.`,
  );
}

async function initialise(context: ClusterContext, password: string): Promise<void> {
  const { directory, runtime, ephemeral } = context;
  const { initialiser, identity } = runtime;
  const unfinished = join(directory, 'cluster.new'); // What an interrupted start left is of no use to anybody.
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  await giveTo(initialiser, unfinished);
  const outcome = await run({
    command: runtime.binaries.initdb,
    args: [
      `--pgdata=${unfinished}`,
      '--username=postgres',
      '--auth=reject', // Until pg_hba.conf is ours; the superuser never gets a password and so can never connect.
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--data-checksums',
      '--no-instructions',
      ...(ephemeral ? ['--no-sync'] : []),
    ],
    identity: initialiser,
    libraryPath: context.runtime.libraryPath,
    lockFd: context.lockFd,
  });
  if (outcome.exitCode !== 0) {
    await rm(unfinished, { recursive: true, force: true });
    throw failureOf('initialise_failed', 'initdb', outcome, directory);
  }
  await runSql(context, unfinished, [
    passwordStatement('CREATE', password),
    `GRANT pg_monitor, pg_checkpoint TO ${applicationRole}`,
    `CREATE DATABASE ${applicationDatabase} OWNER ${applicationRole}`,
  ]);
  await writeFile(join(unfinished, 'pg_hba.conf'), 'local all all scram-sha-256\n', { flush: true });
  await giveTo(identity, unfinished);
  await rename(unfinished, clusterPath(directory));
  if (!ephemeral) await syncDirectory(directory);
}

/** Runs statements, one a line, in PostgreSQL's single-user mode: no server, no connection, no password. */
async function runSql(context: ClusterContext, cluster: string, statements: string[]): Promise<void> {
  const settings = [
    'exit_on_error=on',
    'scram_iterations=1',
    'log_checkpoints=off',
    'log_min_error_statement=panic', // The statement holds the password.
    `fsync=${context.ephemeral ? 'off' : 'on'}`,
  ];
  const outcome = await run({
    command: context.runtime.binaries.postgres,
    args: ['--single', '-D', cluster, ...settings.flatMap((setting) => ['-c', setting]), 'postgres'],
    identity: context.runtime.initialiser,
    libraryPath: context.runtime.libraryPath,
    lockFd: context.lockFd,
    input: statements.map((statement) => `${statement};\n`).join(''),
  });
  if (outcome.exitCode !== 0) throw failureOf('initialise_failed', 'postgres --single', outcome, context.directory);
}

/**
 * The password has 256 random bits, so that the iterations which make guessing slow would only make connecting slow:
 * `scram_iterations` is 1.
 */
function passwordStatement(verb: 'CREATE' | 'ALTER', password: string): string {
  return `${verb} ROLE ${applicationRole} LOGIN CREATEDB PASSWORD '${password}'`;
}

async function readPassword(directory: string): Promise<string | undefined> {
  const path = join(directory, 'password');
  try {
    const password = (await readFile(path, 'utf8')).trim();
    return /^[\w-]{43}$/.test(password) ? password : undefined;
  } catch (cause) {
    if (systemErrorCode(cause) === 'ENOENT') return undefined;
    throw pathError(path, cause);
  }
}

async function writePassword(directory: string, password: string): Promise<void> {
  const path = join(directory, 'password');
  try {
    await writeFile(`${path}.new`, `${password}\n`, { mode: 0o600, flush: true });
    await rename(`${path}.new`, path);
    await syncDirectory(directory);
  } catch (cause) {
    throw pathError(path, cause);
  }
}

/** Makes renames in the directory durable. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
