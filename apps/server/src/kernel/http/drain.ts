import { type Server as HttpServer, type ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';

/** How long connections that are open but silent may still bring a request. */
export const lingerMilliseconds = 1000;

/**
 * Takes no new connections, and lets those that are there end well: every answer from now on closes its connection, and
 * one that is silent is kept for a second. `close()` of Node's server ends silent connections at once, also those whose
 * request is on its way: their clients see a reset and cannot know whether it was done.
 */
export async function drain(server: HttpServer): Promise<void> {
  if (!server.listening) return;
  server.prependListener('request', (_request, response: ServerResponse) => {
    response.shouldKeepAlive = false;
  });
  // Right after the event loop has taken in whoever had connected: the system resets those that wait when we close.
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, lingerMilliseconds);
    NetServer.prototype.close.call(server, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
