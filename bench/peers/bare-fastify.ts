/** The floor of agents' reads: a bare Fastify route that returns the same bytes. */
import { readFile } from 'node:fs/promises';
import fastify from 'fastify';

const body = await readFile(process.env['BODY_FILE'] ?? '');
const app = fastify();
app.get('/ready', async () => 'ready');
app.get('/body', async (_request, reply) => reply.type('application/json; charset=utf-8').send(body));
await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) });
process.once('SIGTERM', () => process.exit(0));
