/**
 * `npm run import-reuni`: brings a Reuni database over. It reads the same settings as the server and writes through the
 * same services, so it is audited; the address of the Reuni database comes from REUNI_DATABASE_URL, for it has a password.
 * docs/guides/move-from-reuni.md tells how.
 */
import { parseArgs } from 'node:util';
import { startEmbeddedPostgres } from '@gatehouse/postgres';
import { createGatehouse } from './app.ts';
import { readSettings, SettingsError } from './config.ts';
import { createLog, createSystemClock, createSystemRandom, migrate } from './kernel/index.ts';
import { importReuni, openReuniSource, readRename } from './modules/reuni/index.ts';

const usage = `Usage: npm run import-reuni -- [--dry-run] [--keep-tokens] [--rename kind:old=new …]
  REUNI_DATABASE_URL  postgresql://… of the Reuni database, which is only read
  GATEHOUSE_*         as for the server; GATEHOUSE_MODULES has to name reuni
  --dry-run           look only
  --keep-tokens       take over the tokens of the services, so that agents need only the new address
  --rename            kind is organization, service, namespace or user; may be given several times`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      'dry-run': { type: 'boolean', default: false },
      'keep-tokens': { type: 'boolean', default: false },
      rename: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', default: false },
    },
  });
  const from = process.env['REUNI_DATABASE_URL'];
  if (values.help || from === undefined) {
    process.stdout.write(`${usage}\n`);
    return values.help ? 0 : 78;
  }
  const renames = values.rename.map((text) => {
    const read = readRename(text);
    if (!read) throw new SettingsError(`--rename ${text} is not of the form kind:old=new.\n${usage}`);
    return read;
  });
  const settings = readSettings(process.env);
  if (!settings.modules.includes('reuni')) {
    throw new SettingsError('GATEHOUSE_MODULES does not name reuni: set it as for the server.');
  }
  const log = createLog({ level: 'warn' });
  const source = await openReuniSource(from);
  const postgres =
    settings.databaseUrl === undefined
      ? await startEmbeddedPostgres({ dataDir: settings.dataDir, log, onFailed: () => process.exit(1) })
      : undefined;
  try {
    const connectionString = settings.databaseUrl ?? postgres?.connectionString ?? '';
    await migrate(connectionString);
    const gatehouse = await createGatehouse({
      // Nothing of it is told to Redis: agents that are still Reuni's would fetch these numbers from there.
      settings: { ...settings, redisUrl: undefined },
      connectionString,
      clock: createSystemClock(),
      random: createSystemRandom(),
      log,
    });
    try {
      await gatehouse.start();
      const { identity, configuration } = gatehouse.modules;
      const report = await importReuni({ db: gatehouse.db, identity, configuration }, source, {
        renames: new Map(renames),
        keepTokens: values['keep-tokens'],
        dryRun: values['dry-run'],
      });
      for (const problem of report.problems) process.stderr.write(`- ${problem}\n`);
      if (report.problems.length > 0) {
        process.stderr.write('Nothing was imported. Put this right and run it again.\n');
        return 1;
      }
      const made = Object.entries(report.made).map(([kind, count]) => `${count} ${kind}`);
      process.stdout.write(
        values['dry-run'] ? 'Everything can be imported. Nothing was written.\n' : `Imported ${made.join(', ')}.\n`,
      );
      return 0;
    } finally {
      await gatehouse.stop();
    }
  } finally {
    await source.close();
    await postgres?.stop();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`import-reuni: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof SettingsError ? 78 : 1;
}
