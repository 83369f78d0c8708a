import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { after, test } from 'node:test';
import { createLog, createMetrics } from '../../../kernel/index.ts';
import { startRedis } from '../../../testing/redis-server.ts';
import { createRedisConnection } from './redis-connection.ts';

const redis = await startRedis({ password: 'right' });
after(() => redis.close());

function connect(url: string, publishTimeoutMs = 5000) {
  const lines: string[] = [];
  const metrics = createMetrics();
  const log = createLog({ level: 'debug', destination: { write: (line: string) => void lines.push(line) } });
  const ready = new EventEmitter();
  const seen: true[] = [];
  const onReady = () => {
    seen.push(true);
    ready.emit('ready');
  };
  const connection = createRedisConnection({ url, log, metrics, onReady, publishTimeoutMs });
  after(() => connection.stop());
  connection.start();
  return {
    connection,
    lines,
    metrics,
    /** Once it was ready `count` times. */
    async ready(count: number) {
      while (seen.length < count) await once(ready, 'ready');
    },
  };
}

test('a Redis that hangs holds nobody up: one message waits, the next do not, and it is heard when it goes on', async () => {
  const { connection, ready, lines } = connect(redis.url, 200);
  await ready(1);
  await connection.publish('channel', '1');
  redis.pause();
  await assert.rejects(connection.publish('channel', '2'), /no answer within 200 ms/);
  await assert.rejects(connection.publish('channel', '3'), /Redis is away/);
  redis.resume();
  await ready(2);
  await connection.publish('channel', '4');
  assert.equal(lines.filter((line) => line.includes('Redis is away; versions')).length, 1);
});

test('a wrong password is told without it, and tried again', async () => {
  const { connection, lines, metrics } = connect(redis.url.replace('right', 'canary-wrong'));
  while (!lines.some((line) => line.includes('WRONGPASS'))) await new Promise((resolve) => setTimeout(resolve, 10));
  await assert.rejects(connection.publish('channel', '1'), /Redis is away/);
  assert.ok(!lines.join('').includes('canary'));
  assert.match(await metrics.text(), /^gatehouse_redis_connected 0$/m);
});
