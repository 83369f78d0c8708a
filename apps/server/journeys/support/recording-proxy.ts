/** A proxy on the way between a client and a server that keeps every byte it passes on, as an attacker there would. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** The proxy. */
export interface RecordingProxy {
  readonly url: string;
  /** Everything that went through, both ways. */
  recorded(): Buffer;
  close(): Promise<void>;
}

/** Starts one in front of a port of this machine. */
export async function startRecordingProxy(port: number, targetPort: () => number): Promise<RecordingProxy> {
  const chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const target = connect(targetPort(), '127.0.0.1');
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        to.write(chunk);
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    recorded: () => Buffer.concat(chunks),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
