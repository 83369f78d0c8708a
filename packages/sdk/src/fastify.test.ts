import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { encryptCompactJwe } from '@gatehouse/crypto';
import fastify, { type FastifyInstance } from 'fastify';
import { sealTo } from './client/seal.ts';
import { gatehouseAuth, gatehousePop } from './fastify.ts';
import { memoryStore } from './pop/memory-store.ts';
import { createPop, type Pop } from './pop/pop.ts';
import { type FakeIssuer, startFakeIssuer } from './testing/fake-issuer.ts';
import { createTokenVerifier } from './tokens/token-verifier.ts';

const limit = 100_000;

describe('gatehousePop', () => {
  let app: FastifyInstance;
  let pop: Pop;
  before(async () => {
    pop = await createPop({ store: memoryStore(), policy: { keys: [{ use: 'enc', alg: 'ECDH-ES+A256KW' }] } });
    app = fastify({ ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } });
    await app.register(gatehousePop, { pop, maxPlaintextBytes: limit });
    app.post('/echo', async (request, reply) => {
      if (Buffer.isBuffer(request.body)) return { bytes: request.body.toString('utf8'), sealed: request.sealed };
      return reply.send({ value: request.body, sealed: request.sealed });
    });
    const schema = {
      body: {
        type: 'object',
        properties: { name: { type: 'string' } },
        required: ['name'],
        additionalProperties: false,
      },
    };
    app.post('/strict', { schema }, async (request) => request.body);
    await app.listen({ port: 0, host: '127.0.0.1' });
  });
  after(async () => {
    await app.close();
    pop.close();
  });

  const post = async (url: string, body: string) =>
    app.inject({ method: 'POST', url, headers: { 'content-type': 'application/jose' }, payload: body });
  const seal = async (payload: string | Record<string, unknown>) => sealTo(pop.jwks().body, payload);

  it('publishes the keys with an ETag that saves a second answer', async () => {
    const first = await app.inject('/pop');
    assert.equal(first.statusCode, 200);
    assert.deepEqual(first.json(), pop.jwks().body);
    assert.match(String(first.headers['cache-control']), /^public, max-age=\d+$/);
    const headers = { 'if-none-match': `"other", W/${String(first.headers.etag)}` };
    const second = await app.inject({ url: '/pop', headers });
    assert.equal(second.statusCode, 304);
    assert.equal(second.body, '');
  });

  it('publishes single keys in PEM', async () => {
    const kid = pop.jwks().body.keys[0]?.kid;
    assert.match((await app.inject(`/pop/${kid}.pem`)).body, /BEGIN PUBLIC KEY/);
    for (const path of ['/pop/unknown.pem', '/pop/unknown', '/pop/..%2f.pem']) {
      const answer = await app.inject(path);
      assert.equal(answer.statusCode, 404);
      assert.match(String(answer.headers['content-type']), /problem\+json/);
    }
  });

  it('hands sealed bytes and sealed JSON to the route', async () => {
    const kid = pop.jwks().body.keys[0]?.kid;
    assert.deepEqual((await post('/echo', await seal('grüße'))).json(), { bytes: 'grüße', sealed: { kid } });
    assert.deepEqual((await post('/echo', await seal({ a: [1] }))).json(), {
      value: { a: [1] },
      sealed: { kid, contentType: 'json' },
    });
  });

  it('refuses members that name a prototype, as Fastify does in a plain body', async () => {
    const [jwk] = pop.jwks().body.keys;
    assert.ok(jwk);
    for (const plaintext of [
      '{"a":1,"__proto__":{"admin":true}}',
      '{"deep":[{"\\u005f_proto__":{"admin":true}}]}',
      '{"constructor":{"prototype":{"admin":true}}}',
    ]) {
      const plain = await app.inject({
        method: 'POST',
        url: '/echo',
        headers: { 'content-type': 'application/json' },
        payload: plaintext,
      });
      assert.equal(plain.statusCode, 400, plaintext);
      const sealed = await post('/echo', encryptCompactJwe({ jwk, plaintext, cty: 'json' }));
      assert.equal(sealed.statusCode, 400, plaintext);
    }
  });

  it('validates sealed JSON with the schema of the route', async () => {
    assert.deepEqual((await post('/strict', await seal({ name: 'x' }))).json(), { name: 'x' });
    assert.equal((await post('/strict', await seal({ name: 1, more: true }))).statusCode, 400);
    assert.equal((await post('/strict', await seal('bytes'))).statusCode, 400);
  });

  it('leaves plain bodies alone', async () => {
    const answer = await app.inject({ method: 'POST', url: '/echo', payload: { a: 1 } });
    assert.deepEqual(answer.json(), { value: { a: 1 }, sealed: null });
  });

  it('answers what it cannot open with a problem document', async () => {
    const [jwk] = pop.jwks().body.keys;
    assert.ok(jwk);
    const notJson = encryptCompactJwe({ jwk, plaintext: '{', cty: 'json' });
    const cases: [string, number, string][] = [
      ['', 400, 'sealed_malformed'],
      ['not a token', 400, 'sealed_malformed'],
      [`${(await seal('x')).slice(0, -4)}AAAA`, 400, 'sealed_cannot_open'],
      [notJson, 400, 'sealed_malformed'],
      [await seal('x'.repeat(limit + 1)), 413, 'sealed_too_large'],
      ['x'.repeat(limit * 2), 413, 'sealed_too_large'],
    ];
    for (const [body, status, code] of cases) {
      const answer = await post('/echo', body);
      assert.equal(answer.statusCode, status, answer.body);
      assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
      assert.equal(answer.json<{ code: string }>().code, code);
    }
    assert.equal((await post('/echo', await seal('x'.repeat(limit)))).statusCode, 200);
  });

  it('answers a sender that would never stop, and ends the connection', async () => {
    const { port } = app.server.address() as { port: number };
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined); // the server may cut the connection while we are writing
    socket.write(
      'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/jose\r\ntransfer-encoding: chunked\r\n\r\n',
    );
    const chunk = `10000\r\n${'a'.repeat(0x10000)}\r\n`;
    const send = () => {
      while (socket.writable && socket.write(chunk));
    };
    socket.on('drain', send);
    send();
    let answer = '';
    socket.on('data', (data) => {
      answer += data.toString();
    });
    await new Promise((resolve) => {
      socket.on('close', resolve);
    });
    assert.match(answer, /^HTTP\/1\.1 413 /);
  });
});

describe('gatehouseAuth', () => {
  let app: FastifyInstance;
  let issuer: FakeIssuer;
  before(async () => {
    issuer = await startFakeIssuer({ now: () => new Date() });
    app = fastify();
    const tokens = createTokenVerifier({ issuer: issuer.origin, audience: 'acme.records' });
    await app.register(gatehouseAuth, { tokens });
    app.get('/me', async (request) => ({ subject: request.accessToken?.subject }));
    app.get('/open', { config: { public: true } }, async () => ({ ok: true }));
  });
  after(async () => {
    await app.close();
    await issuer.close();
  });

  it('lets nothing through without a token, except what says so', async () => {
    assert.equal((await app.inject('/open')).statusCode, 200);
    for (const path of ['/me', '/nowhere']) {
      const answer = await app.inject(path);
      assert.equal(answer.statusCode, 401);
      assert.equal(answer.headers['www-authenticate'], 'Bearer');
      assert.equal(answer.json<{ code: string }>().code, 'token_missing');
    }
  });

  it('names the caller of a good token and refuses others', async () => {
    const authorization = `Bearer ${await issuer.token()}`;
    const answer = await app.inject({ url: '/me', headers: { authorization } });
    assert.deepEqual(answer.json(), { subject: 'alice-uid' });
    const refused = await app.inject({ url: '/me', headers: { authorization: `${authorization}x` } });
    assert.equal(refused.statusCode, 401);
    assert.equal(refused.headers['www-authenticate'], 'Bearer error="invalid_token"');
  });

  it('is unavailable, not forbidding, while there are no keys', async () => {
    const away = fastify();
    const tokens = createTokenVerifier({ issuer: 'http://127.0.0.1:1', audience: 'acme.records' });
    await away.register(gatehouseAuth, { tokens });
    away.get('/me', async () => ({}));
    const authorization = `Bearer ${await issuer.token({ iss: 'http://127.0.0.1:1' })}`;
    const answer = await away.inject({ url: '/me', headers: { authorization } });
    assert.equal(answer.statusCode, 503);
    assert.equal(answer.headers['retry-after'], '5');
    await away.close();
  });
});
