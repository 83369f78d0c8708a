/**
 * Many who listen, in a process of their own: descriptors are bounded by process, and the work of clients is not the
 * server's. Told by its parent whom to listen to; answers when all are there, and after each change when the last has it.
 */
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';

/** What the parent asks for. */
export interface WatchOrder {
  readonly kind: 'sse' | 'poll' | 'etcd';
  readonly port: number;
  readonly count: number;
  /** Of the request: `{since}` is replaced by the version a poll has. */
  readonly path: string;
  readonly tokens: readonly string[];
}

/** What it hears: `at` is the machine's monotonic clock, the same in all processes, milliseconds. */
export type WatchNews =
  | { readonly what: 'ready' }
  | { readonly what: 'all-have'; readonly version: number; readonly at: number; readonly medianAt: number };

const now = () => Number(process.hrtime.bigint()) / 1e6;
const tell = (news: WatchNews) => process.send?.(news);

function create(order: WatchOrder) {
  let arrivals: number[] = [];
  let ready = 0;
  const arrived = (version: number) => {
    arrivals.push(now());
    if (arrivals.length < order.count) return;
    const sorted = arrivals.toSorted((a, b) => a - b);
    arrivals = [];
    tell({ what: 'all-have', version, at: sorted.at(-1) ?? 0, medianAt: sorted[sorted.length >> 1] ?? 0 });
  };
  const oneReady = () => {
    ready += 1;
    if (ready === order.count) tell({ what: 'ready' });
  };
  return { arrived, oneReady };
}

/** Server-sent events, or one poll after another, over a socket of its own; no HTTP client, to leave the server the processor. */
function watchHttp(order: WatchOrder, index: number, on: ReturnType<typeof create>): Promise<void> {
  const token = order.tokens[index % order.tokens.length];
  const authorization = token === undefined ? '' : `authorization: Bearer ${token}\r\n`;
  const head = (since: number) =>
    `GET ${order.path.replace('{since}', String(since))} HTTP/1.1\r\nhost: 127.0.0.1:${order.port}\r\n${authorization}\r\n`;
  return new Promise((resolve, reject) => {
    const socket = connect(order.port, '127.0.0.1', () => socket.write(head(1)));
    let isReady = false;
    const begin = () => {
      isReady = true;
      on.oneReady();
      resolve();
    };
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      if (!isReady && !text.startsWith('HTTP/1.1 200')) reject(new Error(text.slice(0, 200)));
      if (!isReady) begin();
      const match = order.kind === 'sse' ? /id: (\d+)/.exec(text) : /"version":(\d+)/.exec(text);
      if (!match) return;
      on.arrived(Number(match[1]));
      if (order.kind === 'poll') socket.write(head(Number(match[1])));
    });
    socket.on('error', reject);
    // A poll answers nothing until there is news: it is there when its request is on the way.
    if (order.kind === 'poll') socket.once('connect', begin);
  });
}

/** etcd's Watch over gRPC: a connection each, as agents on different hosts have. */
function watchEtcd(order: WatchOrder, on: ReturnType<typeof create>): Promise<void> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`http://127.0.0.1:${order.port}`);
    session.on('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/etcdserverpb.Watch/Watch',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', reject);
    // WatchRequest { create_request = 1 { key = 1 } }, behind the five bytes of a gRPC message.
    const key = Buffer.from(order.path);
    const create = Buffer.concat([Buffer.from([0x0a, key.length]), key]);
    const message = Buffer.concat([Buffer.from([0x0a, create.length]), create]);
    stream.write(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
    let messages = 0;
    let rest = Buffer.alloc(0);
    stream.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        rest = rest.subarray(5 + rest.readUInt32BE(1));
        messages += 1;
        // The first says that the watch was made.
        if (messages === 1) {
          on.oneReady();
          resolve();
        } else on.arrived(messages - 1);
      }
    });
  });
}

process.on('message', (order: WatchOrder) => {
  const on = create(order);
  const open = async () => {
    for (let index = 0; index < order.count; index += 100) {
      const batch = Array.from({ length: Math.min(100, order.count - index) }, (_, offset) =>
        order.kind === 'etcd' ? watchEtcd(order, on) : watchHttp(order, index + offset, on),
      );
      await Promise.all(batch);
    }
  };
  open().catch((error: unknown) => {
    process.stderr.write(`watchers: ${(error as Error).message}\n`);
    process.exit(1);
  });
});
process.once('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
