/**
 * A program that runs an embedded PostgreSQL, for tests that kill it: `node fixture-server.ts <dataDir> [ephemeral]`. Tells what
 * happens as JSON lines; ends cleanly when its standard input ends.
 */
import { once } from 'node:events';
import { EmbeddedPostgresError, type PostgresLog, startEmbeddedPostgres } from '../index.ts';

const tell = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`);
const logTo =
  (level: string) =>
  (_fields: object, message: string): void =>
    tell({ event: 'log', level, message });
const log: PostgresLog = { debug: logTo('debug'), info: logTo('info'), warn: logTo('warn'), error: logTo('error') };

process.on('SIGINT', () => tell({ event: 'interrupted' }));
const [dataDir = '', mode] = process.argv.slice(2);
try {
  const server = await startEmbeddedPostgres({
    dataDir,
    ephemeral: mode === 'ephemeral',
    log,
    onFailed: ({ code, message }) => tell({ event: 'failed', code, message }),
  });
  tell({ event: 'ready', pid: server.pid, connectionString: server.connectionString });
  process.stdin.resume();
  await once(process.stdin, 'end');
  await server.stop();
  tell({ event: 'stopped' });
} catch (error) {
  if (!(error instanceof EmbeddedPostgresError)) throw error;
  tell({ event: 'refused', code: error.code, message: error.message, pid: error.pid });
}
