/** The floor of telling many: node:http alone, one buffer written straight to every socket that listens. */
import { createServer } from 'node:http';
import type { Socket } from 'node:net';

const sockets = new Set<Socket>();
let version = 0;

const server = createServer((request, response) => {
  if (request.url === '/ready') response.end('ready');
  else if (request.method === 'POST') {
    version += 1;
    const text = `id: ${version}\nevent: version\ndata: {"version":${version}}\n\n`;
    const chunk = Buffer.from(`${text.length.toString(16)}\r\n${text}\r\n`);
    for (const socket of sockets) socket.write(chunk);
    response.end(String(version));
  } else {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    const { socket } = response;
    if (!socket) return;
    sockets.add(socket);
    response.once('close', () => sockets.delete(socket));
  }
});
server.listen(Number(process.env['PORT']), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));
