import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createClient } from '@redis/client';
import { startRedis } from '../../../testing/redis-server.ts';
import { createTestApp, type TestApp } from '../../../testing/test-app.ts';

const password = 'canary-redis-password';
const redis = await startRedis({ password });
after(() => redis.close());
const t = await createTestApp({ settings: { redisUrl: redis.url } });
const other = await t.another();
const token = await t.operatorToken();
const call = async (method: 'GET' | 'POST', url: string, payload?: object, on: Pick<TestApp, 'app'> = t) => {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await on.app.inject({ method, url, headers, ...(payload ? { payload } : {}) });
  assert.ok(answer.statusCode < 300, answer.body);
  return answer.json();
};
await call('POST', '/v1/services', { name: 'billing' });

/** Hears a namespace's channel until it is left. */
async function subscribe(namespace: string) {
  const heard: string[] = [];
  const waiting: { count: number; go: () => void }[] = [];
  const client = createClient({ url: redis.url, RESP: 2 });
  client.on('error', () => {});
  await client.connect();
  await client.subscribe(`gatehouse_billing_${namespace}`, (message) => {
    heard.push(message);
    for (const { count, go } of waiting) if (heard.length >= count) go();
  });
  return {
    heard,
    until: (count: number) =>
      heard.length >= count
        ? Promise.resolve()
        : new Promise<void>((resolve, reject) => {
            const timer = setTimeout(() => reject(new Error(`heard only ${heard.join(', ')}`)), 30_000);
            waiting.push({ count, go: () => (clearTimeout(timer), resolve()) });
          }),
    leave: () => client.destroy(),
  };
}

const create = (namespace: string) =>
  call('POST', '/v1/services/namespaces', { service: 'billing', namespace, configuration: { N: 1 } });
const publish = (namespace: string, version: number, on: Pick<TestApp, 'app'> = t) =>
  call('POST', `/v1/services/billing/${namespace}`, { parent_version: version - 1, configuration: { N: version } }, on);
const until = async (condition: () => boolean | Promise<boolean>, what: string) => {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

test('each version but the first is told, in order, whichever node published it', async () => {
  const channel = await subscribe('default');
  await create('default');
  for (let version = 2; version <= 12; version += 1) await publish('default', version, version % 2 ? t : other);
  await channel.until(11);
  assert.deepEqual(
    channel.heard,
    Array.from({ length: 11 }, (_, index) => String(index + 2)),
  );
  channel.leave();
});

test('a Redis that is away delays nothing and fails nothing; back again it hears the newest version once', async () => {
  await create('patient');
  await publish('patient', 2);
  await until(async () => (await told('patient'))?.version === 2, 'version 2 was not told');
  await redis.down();
  for (let version = 3; version <= 6; version += 1) await publish('patient', version);
  await until(async () => (await told('patient'))?.behind === true, 'it was not noticed');
  // Whichever node tried.
  const metrics = `${await t.metrics.text()}${await other.metrics.text()}`;
  assert.equal(metrics.match(/^gatehouse_redis_connected 0$/gm)?.length, 2);
  assert.ok(/^gatehouse_redis_publications_total\{outcome="failed"\} [1-9]/m.test(metrics), 'failures are counted');
  // Both nodes may be quick to come back: the channel is heard through a connection that waits for the server, too.
  await redis.up();
  const channel = await subscribe('patient');
  await until(async () => (await told('patient'))?.version === 6, 'the newest version was not told');
  await publish('patient', 7);
  await until(async () => (await told('patient'))?.version === 7, 'version 7 was not told');
  await until(() => channel.heard.includes('7'), 'version 7 was not heard');
  assert.ok(!channel.heard.some((version) => Number(version) < 6), channel.heard.join());
  assert.equal(new Set(channel.heard).size, channel.heard.length, 'no version twice');
  channel.leave();
  const warnings = t.logLines.filter((line) => line.includes('Redis is away; versions are stored'));
  assert.ok(warnings.length >= 1 && warnings.length <= 4, `${warnings.length} warnings`);
});

test('the password of Redis is in no log, and not in the metrics', async () => {
  assert.ok(!t.logLines.join('').includes(password));
  assert.ok(!(await t.metrics.text()).includes(password));
});

test('a node starts and publishes without its Redis', async () => {
  await redis.down();
  const late = await t.another();
  const channelName = 'alone';
  await create(channelName);
  await publish(channelName, 2, late);
  await redis.up();
  await until(async () => (await told(channelName))?.version === 2, 'version 2 was not told');
});

async function told(namespace: string): Promise<{ version: number; behind: boolean } | undefined> {
  const { rows } = await t.db.pool.query<{ version: number; behind: boolean }>(
    `select p.version, p.behind from configuration.redis_publications p
      join configuration.namespaces n on n.id = p.namespace_id where n.name = $1`,
    [namespace],
  );
  const [row] = rows;
  return row?.behind === true && row.version === 0 ? undefined : row;
}
