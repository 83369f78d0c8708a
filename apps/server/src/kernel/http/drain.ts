import { type Server as HttpServer, type ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';

/** How long connections that are open but silent may still bring a request. */
export const lingerMilliseconds = 1000;

/**
 * Watches the connections of a server from its start. What it gives back ends them: it takes no new ones, and lets those
 * that are there end well. Every answer from now on closes its connection, and one that is silent is kept for a second.
 * `close()` of Node's server ends silent connections at once, also those whose request is on its way: their clients see a
 * reset and cannot know whether it was done. And it waits for ever for those that never brought a request, such as a
 * browser or a pool opens in advance, which Node counts as busy: they are ended here.
 */
export function createDrain(server: HttpServer): () => Promise<void> {
  const unused = new Set<Socket>();
  server.on('connection', (socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', ({ socket }) => unused.delete(socket));

  return async () => {
    if (!server.listening) return;
    // For connections whose request is under way: nobody waits for another one on them when it is answered.
    server.keepAliveTimeout = 1;
    server.prependListener('request', (_request, response: ServerResponse) => {
      response.shouldKeepAlive = false;
    });
    await acceptAll(server);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lingerMilliseconds);
      NetServer.prototype.close.call(server, () => {
        clearTimeout(timer);
        resolve();
      });
    });
    for (const socket of unused) socket.destroy();
  };
}

/** Most turns of the event loop spent on taking in connections, when they keep coming. */
const maxTurns = 1000;
/** Turns without a new one that count as nobody waiting: the first may be the rest of a turn that was under way. */
const quietTurns = 3;

/**
 * Waits until the event loop has taken in whoever had connected, one a turn: the system resets those that still wait when
 * the listening socket is closed. Returns right after a turn that found nobody, so that hardly anybody can be missed.
 */
async function acceptAll(server: HttpServer): Promise<void> {
  let quiet = 0;
  const heard = () => {
    quiet = 0;
  };
  server.on('connection', heard);
  for (let turn = 0; turn < maxTurns && quiet < quietTurns; turn += 1) {
    quiet += 1;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  server.off('connection', heard);
}
