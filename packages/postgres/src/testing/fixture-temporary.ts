/** A program that starts a temporary PostgreSQL and waits to be killed, for temporary.test.ts. */
import { startTemporaryPostgres } from '../index.ts';

const server = await startTemporaryPostgres();
process.stdout.write(
  `${JSON.stringify({ event: 'ready', connectionString: server.connectionString, pid: server.pid })}\n`,
);
process.stdin.resume();
