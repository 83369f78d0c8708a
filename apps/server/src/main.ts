import cluster from 'node:cluster';
import { pathToFileURL } from 'node:url';
import { readSettings, SettingsError } from './config.ts';
import { runNode, runPrimary } from './run.ts';

/** The program: settings from the environment, then one node, or a primary that keeps `GATEHOUSE_WORKERS` nodes. */
async function main(): Promise<void> {
  try {
    const settings = readSettings(process.env);
    if (settings.workers > 1 && cluster.isPrimary) await runPrimary(settings);
    else await runNode(settings);
  } catch (error) {
    process.stderr.write(`${describe(error)}\n`);
    process.exit(error instanceof SettingsError ? 78 : 1);
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return `gatehouse: ${String(error)}`;
  const cause = error.cause instanceof Error ? `\n  because: ${error.cause.message}` : '';
  return `gatehouse: ${error.message}${cause}`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
