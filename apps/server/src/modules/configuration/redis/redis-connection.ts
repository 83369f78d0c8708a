import { createClient } from '@redis/client';
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

const connectTimeoutMs = 5000;
const publishTimeoutMs = 5000;
const maxReconnectDelayMs = 5000;
const pingIntervalMs = 5000;
const silenceMs = 12_000;

/**
 * Keeps one connection. RESP 2 without HELLO, so that Redis of the original's time is served, too. `onReady` runs after
 * each time a connection is there.
 */
export function createRedisConnection(deps: {
  url: string;
  log: Logger;
  metrics: Pick<Metrics, 'registry'>;
  onReady: () => void;
}): RedisConnection {
  const { url, log, metrics, onReady } = deps;
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
  const client = createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    commandsQueueMaxLength: 1000,
    // A Redis that hangs is noticed: it is asked more often than a silence may last.
    pingInterval: pingIntervalMs,
    socket: {
      connectTimeout: connectTimeoutMs,
      socketTimeout: silenceMs,
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
    log.warn({ reason: error.message }, 'Redis is away; versions are stored, and told once it is back');
  });
  client.on('ready', () => {
    connected.set(1);
    if (away) log.info('Redis is back');
    away = false;
    onReady();
  });

  return {
    async publish(channel, message) {
      try {
        if (!client.isReady) throw new Error('Redis is away');
        await within(publishTimeoutMs, client.publish(channel, message));
        published.inc({ outcome: 'published' });
      } catch (error) {
        published.inc({ outcome: 'failed' });
        throw new Error(`Redis did not take a message: ${(error as Error).message}`, { cause: error });
      }
    },
    start() {
      client.connect().catch((error: Error) => {
        if (!stopped) log.error({ reason: error.message }, 'the connection to Redis was given up');
      });
    },
    async stop() {
      stopped = true;
      if (client.isOpen) client.destroy();
    },
  };
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
