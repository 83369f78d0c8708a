/** A load balancer before several nodes: one is asked first, the others when it cannot be reached. */
import { createServer, type IncomingHttpHeaders, request } from 'node:http';

/** A front that listens. */
export interface Front {
  readonly url: string;
  close(): Promise<void>;
}

/** Listens on a port of loopback. `targets` in the order in which they are tried. */
export async function startFront(port: number, targets: readonly string[]): Promise<Front> {
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => forward(targets));
    const forward = ([target, ...others]: readonly string[]) => {
      if (target === undefined || outgoing.destroyed) {
        outgoing.destroy();
        return;
      }
      const to = new URL(incoming.url ?? '/', target);
      const headers: IncomingHttpHeaders = { ...incoming.headers, host: to.host };
      const onward = request(to, { method: incoming.method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
        answer.on('error', () => outgoing.destroy());
      });
      // Only what never reached a node is given to another: nothing is done twice.
      onward.on('error', ({ code }: NodeJS.ErrnoException) =>
        code === 'ECONNREFUSED' ? forward(others) : outgoing.destroy(),
      );
      outgoing.once('close', () => onward.destroy());
      onward.end(Buffer.concat(chunks));
    };
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
