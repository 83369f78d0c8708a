import assert from 'node:assert/strict';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { strictObject } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { createLog } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import { createSystemRandom } from '../random.ts';
import { type App, createHttp, maxBodyBytes } from './http.ts';

const open = { auth: { public: 'test' } };
const lines: string[] = [];
let app: App;

async function createApp(): Promise<App> {
  return createHttp({
    log: createLog({ level: 'debug', destination: { write: (line: string) => void lines.push(line) } }),
    metrics: createMetrics(),
    random: createSystemRandom(),
    publicUrl: 'http://127.0.0.1:8400',
    trustProxy: [],
  });
}

before(async () => {
  app = await createApp();
  app.post(
    '/echo',
    { config: open, schema: { body: strictObject({ count: Type.Integer(), name: Type.Optional(Type.String()) }) } },
    async (request) => request.body,
  );
  app.get(
    '/query',
    { config: open, schema: { querystring: strictObject({ limit: Type.Integer({ maximum: 5 }) }) } },
    async (request) => request.query,
  );
  app.get('/closed', { config: { auth: { self: true } } }, async () => 'never');
  app.get('/broken', { config: open }, async () => {
    throw new Error('canary-7d1f: the password is hunter2');
  });
  await app.ready();
});

test('a route without auth stops the boot', async () => {
  const other = await createApp();
  other.get('/naked', async () => 'oh');
  await assert.rejects(async () => other.ready(), /GET \/naked.* declares no auth/);
});

test('a request schema that lets unknown members through stops the boot', async () => {
  const other = await createApp();
  const schema = { body: Type.Object({ a: Type.String() }) };
  assert.throws(() => other.post('/loose', { config: open, schema }, async () => 'oh'), /strictObject/);
});

test('bodies are not coerced, unknown members are named, queries are read as numbers', async () => {
  const post = (payload: string) =>
    app.inject({ method: 'POST', url: '/echo', headers: { 'content-type': 'application/json' }, payload });
  const coerced = await post('{"count":"1"}');
  assert.equal(coerced.statusCode, 400);
  assert.equal(coerced.json().errors[0].field, 'count');
  const unknown = await post('{"count":1,"nmae":"x"}');
  assert.equal(unknown.statusCode, 400);
  assert.deepEqual(unknown.json().errors[0], {
    field: 'nmae',
    rule: 'is not known here',
    fix: 'remove it or correct its spelling',
  });
  assert.equal((await post('{"count":1}')).statusCode, 200);
  assert.deepEqual((await app.inject('/query?limit=3')).json(), { limit: 3 });
  assert.equal((await app.inject('/query?limit=9')).statusCode, 400);
});

test('broken, deep, doubled, prototype-changing and oversized bodies are 4xx problems', async () => {
  const bodies = [
    ['{', 400],
    ['', 400],
    ['{"count":1,"count":2}', 400],
    ['{"count":1,"__proto__":{}}', 400],
    [`${'['.repeat(100)}${']'.repeat(100)}`, 400],
    [`{"count":1,"name":"${'x'.repeat(maxBodyBytes)}"}`, 413],
  ] as const;
  for (const [payload, status] of bodies) {
    const answer = await app.inject({
      method: 'POST',
      url: '/echo',
      headers: { 'content-type': 'application/json' },
      payload,
    });
    assert.equal(answer.statusCode, status, payload.slice(0, 40));
    assert.match(String(answer.headers['content-type']), /application\/problem\+json/);
    assert.match(answer.json().request_id, /^req_/);
  }
  const text = await app.inject({
    method: 'POST',
    url: '/echo',
    headers: { 'content-type': 'text/plain' },
    payload: 'x',
  });
  assert.equal(text.statusCode, 415);
});

test('an unexpected error is 500 without its text, and logged', async () => {
  const answer = await app.inject('/broken');
  assert.equal(answer.statusCode, 500);
  assert.equal(answer.json().code, 'internal');
  assert.doesNotMatch(answer.body, /canary/);
  assert.ok(lines.some((line) => line.includes('canary-7d1f')));
});

test('closed routes are 401 with a challenge, unknown paths 404, and both carry the security headers', async () => {
  const closed = await app.inject('/closed');
  assert.equal(closed.statusCode, 401);
  assert.equal(closed.headers['www-authenticate'], 'Bearer');
  const missing = await app.inject('/nowhere');
  assert.equal(missing.statusCode, 404);
  for (const answer of [closed, missing]) {
    assert.match(String(answer.headers['content-security-policy']), /default-src 'none'; frame-ancestors 'none'/);
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    assert.equal(answer.headers['cache-control'], 'no-store');
  }
});

test('a foreign Host header is refused', async () => {
  for (const host of ['evil.example', '127.0.0.1.evil.example', '127.0.0.1:8400@evil.example']) {
    const answer = await app.inject({ url: '/query?limit=1', headers: { host } });
    assert.equal(answer.statusCode, 421, host);
  }
});

test('what is not HTTP, and an address that cannot be read, are problems with the security headers too', async () => {
  await app.listen({ host: '127.0.0.1', port: 0 });
  after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const asked = async (bytes: string) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    return text(socket);
  };
  const cases: [string, number, string][] = [
    ['nonsense\r\n\r\n', 400, 'kernel.invalid_request'],
    [`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'kernel.headers_too_large'],
    ['GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'kernel.invalid_request'],
    [
      `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nhost: evil\r\nConnection: close\r\n\r\n`,
      400,
      'kernel.invalid_request',
    ],
    [`GET /%zz HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`, 400, 'kernel.invalid_request'],
  ];
  for (const [bytes, status, code] of cases) {
    const answer = await asked(bytes);
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
    assert.match(answer, /\r\ncontent-security-policy: default-src 'none'; frame-ancestors 'none'/);
    assert.match(answer, /\r\nx-content-type-options: nosniff\r\n/);
    assert.match(answer, /\r\nx-request-id: req_/);
    assert.equal((JSON.parse(answer.split('\r\n\r\n')[1] ?? '') as { code: string }).code, code);
  }
});
