import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { after, before, beforeEach, describe, it } from 'node:test';
import { generateKeyPair, importVerificationKey, parseJwtClaims, verifyCompactJws } from '@gatehouse/crypto';
import { createFakeClock, type FakeClock } from '@gatehouse/testkit';
import { sealTo } from '../client/seal.ts';
import { memoryStore } from '../pop/memory-store.ts';
import { createPop, type Pop } from '../pop/pop.ts';
import { type LoopbackServer, listen } from '../testing/fake-issuer.ts';
import { createSecretClient, type SecretClientOptions } from './secret-client.ts';

const secretOf = (subject: string) => Buffer.alloc(32, subject).toString('base64url');

describe('createSecretClient', () => {
  let clock: FakeClock;
  let pop: Pop;
  let server: LoopbackServer;
  let seen: { form: URLSearchParams; authorization: string | undefined }[];
  let answer: ((form: URLSearchParams) => Promise<[number, object | string]>) | undefined;

  before(async () => {
    const keys = [{ use: 'enc', alg: 'ECDH-ES+A256KW' } as const, { use: 'sig', alg: 'ES256' } as const];
    pop = await createPop({ store: memoryStore(), policy: { keys } });
    server = await listen((request, response) => void respond(request, response));
  });
  after(async () => {
    pop.close();
    await server.close();
  });
  beforeEach(() => {
    clock = createFakeClock();
    seen = [];
    answer = undefined;
  });

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = new URLSearchParams(await bodyOf(request));
    seen.push({ form, authorization: request.headers.authorization });
    const [status, value] = await (answer ?? released)(form);
    const retry = status === 503 ? { 'retry-after': '7' } : {};
    response.writeHead(status, { 'content-type': 'application/json', ...retry });
    response.end(typeof value === 'string' ? value : JSON.stringify(value));
  }

  async function released(form: URLSearchParams): Promise<[number, object]> {
    const { sub } = JSON.parse(Buffer.from(form.get('subject_token')?.split('.')[1] ?? '', 'base64url').toString()) as {
      sub: string;
    };
    return [
      200,
      {
        access_token: await sealTo(pop.jwks().body, secretOf(sub)),
        issued_token_type: 'urn:gatehouse:params:oauth:token-type:user-secret',
        token_type: 'N_A',
        expires_in: 300,
      },
    ];
  }
  const client = (options: Partial<SecretClientOptions> = {}) =>
    createSecretClient({
      issuer: server.origin,
      clientId: 'acme.records',
      clientSecret: 's 1:ü',
      pop,
      clock,
      ...options,
    });
  const token = (sub: string, lifeSeconds = 600) => {
    const claims = { sub, exp: Math.floor(clock.now().getTime() / 1000) + lifeSeconds };
    return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
  };

  it('sends the exchange of RFC 8693 and opens the answer', async () => {
    assert.equal(await client().secretFor(token('a'), { reason: 'case 7' }), secretOf('a'));
    const [request] = seen;
    assert.deepEqual(Object.fromEntries(request?.form ?? []), {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: token('a'),
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience: 'acme.records',
      requested_token_type: 'urn:gatehouse:params:oauth:token-type:user-secret',
      reason: 'case 7',
    });
    // RFC 6749 §2.3.1: both parts are form-encoded before Basic.
    const basic = Buffer.from(request?.authorization?.slice('Basic '.length) ?? '', 'base64').toString();
    assert.equal(basic, 'acme.records:s+1%3A%C3%BC');
  });

  it('gives each user their own secret', async () => {
    const secrets = client();
    assert.equal(await secrets.secretFor(token('a')), secretOf('a'));
    assert.equal(await secrets.secretFor(token('b')), secretOf('b'));
  });

  it('asks once for many requests with one token', async () => {
    const secrets = client();
    await Promise.all(Array.from({ length: 20 }, () => secrets.secretFor(token('a'))));
    await secrets.secretFor(token('a'));
    assert.equal(seen.length, 1);
    secrets.clear();
    await secrets.secretFor(token('a'));
    assert.equal(seen.length, 2);
  });

  it('keeps a secret no longer than a minute, the token, or what the server says', async () => {
    const secrets = client();
    const short = token('short', 10);
    const long = token('long');
    await Promise.all([secrets.secretFor(short), secrets.secretFor(long)]);
    clock.advance(10);
    await Promise.all([secrets.secretFor(short), secrets.secretFor(long)]);
    assert.equal(seen.length, 3);
    clock.advance(50);
    await secrets.secretFor(long);
    assert.equal(seen.length, 4);
    await client({ cache: { maxSeconds: 0 } }).secretFor(long);
    const uncached = client({ cache: { maxSeconds: 0 } });
    await uncached.secretFor(long);
    await uncached.secretFor(long);
    assert.equal(seen.length, 7);
  });

  it('keeps no failure, and tells refused from unavailable', async () => {
    const secrets = client();
    answer = async () => [400, { error: 'invalid_grant', error_description: 'The user is suspended.' }];
    await assert.rejects(secrets.secretFor(token('a')), {
      code: 'secret_refused',
      status: 400,
      serverCode: 'invalid_grant',
      message: /The user is suspended/,
    });
    answer = async () => [401, { error: 'invalid_client' }];
    await assert.rejects(secrets.secretFor(token('a')), { code: 'service_refused', serverCode: 'invalid_client' });
    answer = async () => [400, { error: 'temporarily_unavailable' }];
    await assert.rejects(secrets.secretFor(token('a')), { code: 'server_unavailable' });
    answer = async () => [503, { code: 'kernel.busy' }];
    await assert.rejects(secrets.secretFor(token('a')), { code: 'server_unavailable', retryAfterSeconds: 7 });
    answer = async () => [502, '<html>'];
    await assert.rejects(secrets.secretFor(token('a')), { code: 'server_unavailable', status: 502 });
    const nobody = client({ issuer: 'http://127.0.0.1:1' });
    await assert.rejects(nobody.secretFor(token('a')), { code: 'server_unavailable' });
    answer = undefined;
    assert.equal(await secrets.secretFor(token('a')), secretOf('a'));
  });

  it('refuses an answer that is not a user secret sealed to this service', async () => {
    const stranger = await generateKeyPair('ECDH-ES+A256KW');
    const good = (await released(new URLSearchParams({ subject_token: token('a') })))[1] as Record<string, unknown>;
    const cases: [object | string, string][] = [
      ['{', 'answer_invalid'],
      [[], 'answer_invalid'],
      [{ ...good, issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' }, 'answer_invalid'],
      [{ ...good, access_token: secretOf('a') }, 'sealed_malformed'],
      [{ ...good, access_token: await sealTo({ keys: [stranger.publicJwk] }, secretOf('a')) }, 'sealed_cannot_open'],
      [{ ...good, access_token: await sealTo(pop.jwks().body, 'too short') }, 'answer_invalid'],
    ];
    for (const [body, code] of cases) {
      answer = async () => [200, body];
      await assert.rejects(client().secretFor(token('a')), { code });
    }
  });

  it('authenticates with a signed assertion, by a key of its own or by pop', async () => {
    const pair = await generateKeyPair('ES256');
    const popKey = pop.jwks().body.keys.find((key) => key.use === 'sig');
    assert.ok(popKey);
    const { issuer } = { issuer: server.origin };
    const base = { issuer, clientId: 'acme.records', pop, clock };
    await createSecretClient({ ...base, privateKey: pair.privateJwk }).secretFor(token('a'));
    await createSecretClient({ ...base, authenticateWithPop: true }).secretFor(token('a'));
    const ids = new Set<unknown>();
    for (const [index, jwk] of [pair.publicJwk, popKey].entries()) {
      const form = seen[index]?.form;
      assert.equal(form?.get('client_assertion_type'), 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
      const { payload } = await verifyCompactJws(form?.get('client_assertion') ?? '', {
        findKey: () => importVerificationKey(jwk),
      });
      const claims = parseJwtClaims(payload);
      assert.deepEqual([claims.iss, claims.sub, claims.aud], ['acme.records', 'acme.records', issuer]);
      assert.equal(Number(claims.exp) - Number(claims.iat), 60);
      ids.add(claims.jti);
    }
    assert.equal(ids.size, 2);
    assert.throws(() => createSecretClient(base), { code: 'configuration_invalid' });
    assert.throws(() => client({ authenticateWithPop: true }), { code: 'configuration_invalid' });
  });
});

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
