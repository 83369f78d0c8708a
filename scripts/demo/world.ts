/**
 * Where the demo happens: a Gatehouse server on its own database, and the records service beside it, each a process,
 * with everything they keep in one temporary folder that is removed at the end.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { freePort, type Program, runProgram, startProgram } from './programs.ts';

/** The repository. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Everything the steps need to know of the world. */
export interface World {
  gatehouseUrl: string;
  recordsUrl: string;
  password(username: 'alice' | 'bob' | 'operator'): string;
  /** Runs `gatehouse …` as the operator. */
  cli(...args: string[]): Promise<{ exitCode: number; output: string }>;
  /** Asks the server's own database. */
  query<R extends object>(text: string, values?: unknown[]): Promise<R[]>;
  /** The bytes that the records service stores for a file. */
  storedBytes(fileId: string): Promise<Uint8Array>;
  /** Writes a row of the records service, as a thief or a careless administrator of its database could. */
  changeOwner(fileId: string, owner: string): void;
  /** Replaces the keys of the records service, from another process. */
  rotateRecordsKeys(): Promise<void>;
  /** Ends everything; rejects if a program did not end well. */
  close(): Promise<void>;
}

/** Starts the world. `recordsFolder` is where the example is run from: the repository's, or a copy with the packed SDK. */
export async function startWorld(options: { recordsFolder: string }): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-demo-'));
  const programs: Program[] = [];
  const passwords = { alice: newPassword(), bob: newPassword(), operator: newPassword() };
  const [gatehousePort, recordsPort] = [await freePort(), await freePort()];
  const gatehouseUrl = `http://127.0.0.1:${gatehousePort}`;
  const recordsUrl = `http://127.0.0.1:${recordsPort}`;
  const clientSecret = randomBytes(32).toString('base64url');
  const recordsData = join(folder, 'records');
  const recordsEnvironment = {
    GATEHOUSE_ISSUER: gatehouseUrl,
    GATEHOUSE_CLIENT_ID: 'acme.records',
    GATEHOUSE_CLIENT_SECRET_FILE: join(folder, 'records.secret'),
    RECORDS_PORT: String(recordsPort),
    RECORDS_DATA_DIR: recordsData,
    // So that the demo shows within a second what otherwise takes a minute.
    RECORDS_SECRET_CACHE_SECONDS: '0',
    RECORDS_POP_CHECK_SECONDS: '1',
    RECORDS_LOG_LEVEL: 'warn',
  };
  const cliEnvironment = { GATEHOUSE_URL: gatehouseUrl, GATEHOUSE_CONFIG_DIR: join(folder, 'cli') };
  const cli = async (...args: string[]) =>
    runProgram(process.execPath, [join(root, 'apps/cli/src/main.ts'), ...args], { cwd: root, env: cliEnvironment });

  async function close(): Promise<void> {
    const failures: unknown[] = [];
    for (const program of programs.splice(0).toReversed()) await program.stop().catch((error) => failures.push(error));
    await rm(folder, { recursive: true, force: true });
    if (failures.length > 0) throw failures[0];
  }

  try {
    await mkdir(recordsData, { mode: 0o700 });
    await writeFile(join(folder, 'records.secret'), clientSecret, { mode: 0o600 });
    for (const [name, password] of Object.entries(passwords)) {
      await writeFile(join(folder, `${name}.password`), password, { mode: 0o600 });
    }
    await writeFile(join(folder, 'gatehouse.yaml'), declaration(recordsUrl));
    programs.push(
      await startProgram({
        name: 'The server',
        script: join(root, 'apps/server/src/main.ts'),
        cwd: folder,
        readyText: /^Gatehouse is ready/m,
        env: {
          GATEHOUSE_PORT: String(gatehousePort),
          GATEHOUSE_DATA_DIR: join(folder, 'gatehouse'),
          GATEHOUSE_ADMIN_USERNAME: 'operator',
          GATEHOUSE_ADMIN_PASSWORD_FILE: join(folder, 'operator.password'),
          GATEHOUSE_DECLARATION: join(folder, 'gatehouse.yaml'),
          GATEHOUSE_ALLOW_PRIVATE_NETWORKS: recordsUrl,
          GATEHOUSE_LOG_LEVEL: 'warn',
        },
      }),
    );
    programs.push(
      await startProgram({
        name: 'The records service',
        script: join(options.recordsFolder, 'src/main.ts'),
        cwd: options.recordsFolder,
        readyText: /^records: ready/m,
        env: recordsEnvironment,
      }),
    );
    const login = await cli('login', '--username', 'operator', '--password-file', join(folder, 'operator.password'));
    if (login.exitCode !== 0) throw new Error(`The operator could not log in:\n${login.output}`);
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }

  return {
    gatehouseUrl,
    recordsUrl,
    password: (username) => passwords[username],
    cli,
    async query<R extends object>(text: string, values: unknown[] = []) {
      const directory = join(folder, 'gatehouse/postgres');
      const password = (await readFile(join(directory, 'password'), 'utf8')).trim();
      const [port] = (await readdir(join(directory, 'socket'))).map((name) => Number(name.split('.').at(-1)));
      const client = new Client({
        host: join(directory, 'socket'),
        port: port ?? 5432,
        user: 'gatehouse',
        database: 'gatehouse',
        password,
      });
      await client.connect();
      try {
        return (await client.query<R>(text, values)).rows;
      } finally {
        await client.end();
      }
    },
    storedBytes: (fileId) => readFile(join(recordsData, 'files', fileId)),
    changeOwner(fileId, owner) {
      const database = new DatabaseSync(join(recordsData, 'records.db'));
      database.exec('pragma busy_timeout = 5000');
      database.prepare('update files set owner = ? where id = ?').run(owner, fileId);
      database.close();
    },
    async rotateRecordsKeys() {
      const script = join(options.recordsFolder, 'src/rotate-keys.ts');
      const run = await runProgram(process.execPath, [script], { cwd: options.recordsFolder, env: recordsEnvironment });
      if (run.exitCode !== 0) throw new Error(`The keys of the records service could not be rotated:\n${run.output}`);
    },
    close,
  };
}

/** Long enough for a password that stands alone, and in no list. */
function newPassword(): string {
  return randomBytes(18).toString('base64url');
}

function declaration(recordsUrl: string): string {
  return `organizations:
  acme:
    services:
      records:
        pop_url: ${recordsUrl}/pop
        client_secret_file: ./records.secret
        grants: [client_credentials, token_exchange]
    users:
      alice: { password_file: ./alice.password }
      bob: { password_file: ./bob.password }
`;
}
