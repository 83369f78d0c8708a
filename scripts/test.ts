/**
 * `npm test [-- [--without-browser] [path ...]]`: runs the tests on one PostgreSQL that is started for the run and removed
 * after it. Paths (files, directories, patterns) narrow it to the tests they name.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startTemporaryPostgres } from '@gatehouse/postgres';
import { requireBrowser } from './test/find-browser.ts';
import { needsRedis, requireRedis } from './test/find-redis.ts';
import { needsBrowser, type Selection, selectFiles } from './test/select-files.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** A test that takes this long hangs. */
const timeoutMs = 300_000;

let running: ChildProcess | undefined;
let interrupted: NodeJS.Signals | undefined;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { 'without-browser': { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const withoutBrowser = values['without-browser'];
  const selection = await selectFiles(root, positionals, { withoutBrowser });
  const environment = { ...process.env };
  const files = [...selection.units, ...selection.journeys];
  if (files.some(needsBrowser)) environment.CHROMIUM = requireBrowser(root, process.env);
  if (files.some((file) => needsRedis(join(root, file)))) requireRedis(root, process.env);
  const notice = '\n*** --without-browser: the tests in a browser (*.browser.test.ts) are LEFT OUT. ***\n';
  if (withoutBrowser) console.log(notice);

  const postgres = await startTemporaryPostgres();
  try {
    environment.GATEHOUSE_TEST_POSTGRES = postgres.connectionString;
    const exitCode = await runPhases(selection, environment);
    if (withoutBrowser) console.log(notice);
    return exitCode;
  } finally {
    await postgres.stop();
  }
}

/** Both phases run even if the first fails, so that one run tells everything. */
async function runPhases({ units, journeys }: Selection, environment: NodeJS.ProcessEnv): Promise<number> {
  const results = [
    await runTests(units, availableParallelism(), environment),
    await runTests(journeys, 1, environment),
  ];
  return results.find((exitCode) => exitCode !== 0) ?? 0;
}

async function runTests(files: string[], concurrency: number, environment: NodeJS.ProcessEnv): Promise<number> {
  if (files.length === 0 || interrupted !== undefined) return 0;
  const options = [
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${concurrency}`,
    `--test-timeout=${timeoutMs}`,
  ];
  const child = spawn(process.execPath, [...options, ...files], { cwd: root, env: environment, stdio: 'inherit' });
  running = child;
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (exitCode) => resolve(exitCode ?? 1));
  });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    running?.kill(interrupted === undefined ? signal : 'SIGKILL'); // The second time means it.
    interrupted = signal;
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
if (interrupted !== undefined) process.exitCode = 130;
