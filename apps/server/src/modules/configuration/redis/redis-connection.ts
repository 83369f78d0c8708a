import { createRequire } from 'node:module';
import { Counter, Gauge } from 'prom-client';
import type { Logger, Metrics } from '../../../kernel/index.ts';

/** A Redis that may go away and come back. */
export interface RedisConnection {
  /** Publishes now, or throws: nothing waits for a Redis that is away. */
  publish(channel: string, message: string): Promise<void>;
  /** Begins to connect, and goes on trying: a node starts without its Redis. */
  start(): void;
  stop(): Promise<void>;
}

/** Loaded by who has a Redis: the library takes more memory than the rest of the module. */
const load = createRequire(import.meta.url);

const connectTimeoutMs = 5000;
const maxReconnectDelayMs = 5000;
const awayText = 'Redis is away; versions are stored, and told once it is back';

/**
 * Keeps one connection. RESP 2 without HELLO, so that Redis of the original's time is served, too. `onReady` runs after
 * each time a connection is there.
 */
export function createRedisConnection(deps: {
  url: string;
  log: Logger;
  metrics: Pick<Metrics, 'registry'>;
  onReady: () => void;
  publishTimeoutMs?: number;
}): RedisConnection {
  const { url, log, metrics, onReady, publishTimeoutMs = 5000 } = deps;
  const connected = new Gauge({
    name: 'gatehouse_redis_connected',
    help: '1 while the node has a connection to GATEHOUSE_REDIS_URL',
    registers: [metrics.registry],
  });
  const published = new Counter({
    name: 'gatehouse_redis_publications_total',
    help: 'Versions told to Redis, by outcome',
    labelNames: ['outcome'],
    registers: [metrics.registry],
  });
  connected.set(0);
  const { createClient } = load('@redis/client') as typeof import('@redis/client');
  const client = createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    commandsQueueMaxLength: 1000,
    socket: {
      connectTimeout: connectTimeoutMs,
      reconnectStrategy: (retries) => Math.min(maxReconnectDelayMs, 50 * 2 ** Math.min(retries, 10)),
    },
  });
  let away = false;
  let stopped = false;
  client.on('error', (error: Error) => {
    connected.set(0);
    if (away || stopped) return;
    away = true;
    // The message only: the rest of an error may hold what was sent, a password among it.
    log.warn({ reason: error.message }, awayText);
  });
  client.on('ready', () => {
    connected.set(1);
    if (away) log.info('Redis is back');
    away = false;
    onReady();
  });

  const connect = () => {
    client.connect().catch((error: Error) => {
      if (!stopped) log.error({ reason: error.message }, 'the connection to Redis was given up');
    });
  };

  /** A Redis that hangs, or a connection that somebody on the way has forgotten: a new one, so that nothing waits on it. */
  const reconnect = () => {
    if (stopped) return;
    connected.set(0);
    if (!away) log.warn({ reason: 'it does not answer' }, awayText);
    away = true;
    if (client.isOpen) client.destroy();
    connect();
  };

  return {
    async publish(channel, message) {
      try {
        if (!client.isReady) throw new Error('Redis is away');
        const sent = client.publish(channel, message);
        sent.catch(() => {}); // heard of below, or too late to matter
        if (!(await settlesWithin(publishTimeoutMs, sent))) {
          reconnect();
          throw new Error(`no answer within ${publishTimeoutMs} ms`);
        }
        await sent;
        published.inc({ outcome: 'published' });
      } catch (error) {
        published.inc({ outcome: 'failed' });
        throw new Error(`Redis did not take a message: ${(error as Error).message}`, { cause: error });
      }
    },
    start: connect,
    async stop() {
      stopped = true;
      if (client.isOpen) client.destroy();
    },
  };
}

/** False when it takes longer. */
async function settlesWithin(timeoutMs: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  try {
    const settled = work.then(
      () => true,
      () => true,
    );
    return await Promise.race([settled, late]);
  } finally {
    clearTimeout(timer);
  }
}
