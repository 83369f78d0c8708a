import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { generateKeyPair } from '@gatehouse/crypto';
import { memoryStore } from '../pop/memory-store.ts';
import { createPop, type Pop } from '../pop/pop.ts';
import { createPopHandler } from '../pop/pop-handler.ts';
import { type LoopbackServer, listen } from '../testing/fake-issuer.ts';
import { sealTo } from './seal.ts';
import { createSession, refreshSession } from './session.ts';

describe('createSession', () => {
  let pop: Pop;
  let server: LoopbackServer;
  let answer: [number, object | string];
  let received: { path: string; body: Record<string, unknown> }[];
  before(async () => {
    pop = await createPop({ store: memoryStore(), policy: { keys: [{ use: 'enc', alg: 'ECDH-ES+A256KW' }] } });
    const handlePop = createPopHandler(pop);
    server = await listen((request, response) => {
      handlePop(request, response, () => {
        let text = '';
        request.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        request.on('end', () => {
          received.push({ path: request.url ?? '', body: JSON.parse(text) as Record<string, unknown> });
          response.writeHead(answer[0], { 'content-type': 'application/json' }).end(JSON.stringify(answer[1]));
        });
      });
    });
  });
  after(async () => {
    pop.close();
    await server.close();
  });

  const tokens = { access_token: 'a', refresh_token: 'r', token_type: 'Bearer', expires_in: 600, scope: 'openid' };

  it('sends the credentials sealed, and nothing of them plain', async () => {
    received = [];
    answer = [200, tokens];
    const session = await createSession({ issuer: server.origin, username: 'alice', password: 'a long password' });
    assert.deepEqual(session, { accessToken: 'a', refreshToken: 'r', expiresIn: 600, scope: 'openid' });
    const [request] = received;
    assert.equal(request?.path, '/v1/sessions');
    assert.deepEqual(Object.keys(request?.body ?? {}), ['credentials']);
    assert.doesNotMatch(JSON.stringify(request), /alice|password/);
    const { plaintext } = await pop.open(String(request?.body.credentials));
    assert.deepEqual(JSON.parse(Buffer.from(plaintext).toString()), { username: 'alice', password: 'a long password' });
  });

  it('refreshes', async () => {
    received = [];
    answer = [200, tokens];
    await refreshSession({ issuer: server.origin, refreshToken: 'old' });
    assert.deepEqual(received, [{ path: '/v1/sessions/refresh', body: { refresh_token: 'old' } }]);
  });

  it('tells a refusal, a second factor and an outage apart', async () => {
    const signIn = async () => createSession({ issuer: server.origin, username: 'alice', password: 'wrong' });
    answer = [401, { code: 'identity.mfa_required', title: 'A second factor is due', challenge: 'c1' }];
    await assert.rejects(signIn(), {
      code: 'sign_in_refused',
      serverCode: 'identity.mfa_required',
      details: { code: 'identity.mfa_required', title: 'A second factor is due', challenge: 'c1' },
    });
    answer = [503, {}];
    await assert.rejects(signIn(), { code: 'server_unavailable' });
    answer = [200, { access_token: 'a' }];
    await assert.rejects(signIn(), { code: 'answer_invalid' });
    answer = [307, {}];
    await assert.rejects(signIn(), { code: 'sign_in_refused', status: 307 });
  });
});

describe('sealTo', () => {
  it('takes the encryption key and never a signature key, a weak key or a private one', async () => {
    const signature = await generateKeyPair('ES256');
    const encryption = await generateKeyPair('RSA-OAEP-256');
    const sealed = await sealTo({ keys: [signature.publicJwk, encryption.publicJwk] }, 'x');
    const header = JSON.parse(Buffer.from(sealed.split('.')[0] ?? '', 'base64url').toString()) as { kid: string };
    assert.equal(header.kid, encryption.kid);
    for (const keys of [
      [],
      [signature.publicJwk],
      [encryption.privateJwk],
      [{ ...encryption.publicJwk, use: undefined }],
    ]) {
      await assert.rejects(sealTo({ keys }, 'x'), { code: 'seal_no_key' });
    }
    await assert.rejects(sealTo('http://records.example.com/pop', 'x'), { code: 'configuration_invalid' });
    await assert.rejects(sealTo('http://127.0.0.1:1/pop', 'x'), { code: 'server_unavailable' });
  });
});
