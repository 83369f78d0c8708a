/** Bytes on a socket, as no HTTP client would send them. */
import { connect, type Socket } from 'node:net';

/** What came back until the connection ended, or fell silent. */
export interface RawAnswer {
  readonly text: string;
  /** Status codes of the answers, in order; empty when the connection was closed without one. */
  readonly statuses: readonly number[];
  readonly milliseconds: number;
  readonly closed: boolean;
}

const silenceMilliseconds = 250;

/** Sends bytes and reads. Rejects when nothing happens in `seconds`. */
export function sendRaw(port: number, bytes: string | Buffer, seconds: number): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const since = performance.now();
    const chunks: Buffer[] = [];
    let answeredAt = 0;
    let silence: NodeJS.Timeout | undefined;
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    const late = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no answer in ${seconds} s to ${JSON.stringify(bytes.toString('latin1').slice(0, 120))}`));
    }, seconds * 1000);
    const finish = (closed: boolean) => {
      clearTimeout(late);
      clearTimeout(silence);
      socket.destroy();
      const text = Buffer.concat(chunks).toString('latin1');
      const statuses = [...text.matchAll(/(?:^|[\r\n}>])HTTP\/1\.[01] (\d{3})/g)].map((match) => Number(match[1]));
      resolve({ text, statuses, milliseconds: (answeredAt || performance.now()) - since, closed });
    };
    socket.on('data', (chunk) => {
      answeredAt ||= performance.now();
      chunks.push(chunk);
      clearTimeout(silence);
      silence = setTimeout(() => finish(false), silenceMilliseconds);
    });
    socket.on('end', () => finish(true));
    socket.on('error', () => finish(true)); // reset: an answer too
  });
}

/** An open connection that has sent what it is given and says nothing more. */
export function openConnection(port: number, bytes = ''): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      if (bytes !== '') socket.write(bytes);
      resolve(socket);
    });
    socket.once('error', reject);
    socket.on('error', () => undefined);
  });
}
