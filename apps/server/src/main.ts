import cluster from 'node:cluster';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { readSettings, SettingsError } from './config.ts';

// Compiled code is kept beside the packages (never in a directory others can write to): a warm start is a third
// faster and the type stripper, 20 MB, is not loaded.
enableCompileCache(join(import.meta.dirname, '../../../node_modules/.cache/gatehouse'));

/** The program: settings from the environment, then one node, or a primary that keeps `GATEHOUSE_WORKERS` nodes. */
try {
  const settings = readSettings(process.env);
  const { runNode, runPrimary } = await import('./run.ts');
  if (settings.workers > 1 && cluster.isPrimary) await runPrimary(settings);
  else await runNode(settings);
} catch (error) {
  process.stderr.write(`${describe(error)}\n`);
  process.exit(error instanceof SettingsError ? 78 : 1);
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return `gatehouse: ${String(error)}`;
  const cause = error.cause instanceof Error ? `\n  because: ${error.cause.message}` : '';
  return `gatehouse: ${error.message}${cause}`;
}
