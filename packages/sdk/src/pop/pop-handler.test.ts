import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sealTo } from '../client/seal.ts';
import { listen } from '../testing/fake-issuer.ts';
import { memoryStore } from './memory-store.ts';
import { createPop } from './pop.ts';
import { createPopHandler } from './pop-handler.ts';

describe('createPopHandler', () => {
  it('serves the keys from node:http', async () => {
    const pop = await createPop({ store: memoryStore(), policy: { keys: [{ use: 'enc', alg: 'ECDH-ES+A256KW' }] } });
    const handle = createPopHandler(pop);
    const server = await listen((request, response) => {
      if (request.url?.startsWith('/app') === true) handle(request, response, () => response.end('the application'));
      else handle(request, response);
    });
    const get = async (path: string, init?: RequestInit) => fetch(`${server.origin}${path}`, init);
    try {
      const answer = await get('/pop?x=1');
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('content-type'), 'application/jwk-set+json');
      assert.deepEqual(await answer.json(), pop.jwks().body);
      const etag = answer.headers.get('etag') ?? '';
      assert.equal((await get('/pop', { headers: { 'if-none-match': etag } })).status, 304);
      assert.equal(await (await get('/pop', { method: 'HEAD' })).text(), '');
      const posted = await get('/pop', { method: 'POST' });
      assert.equal(posted.status, 405);
      assert.equal(posted.headers.get('allow'), 'GET, HEAD');
      assert.match(await (await get(`/pop/${pop.list()[0]?.kid}.pem`)).text(), /BEGIN PUBLIC KEY/);
      assert.equal((await get('/popular')).status, 404);
      assert.equal(await (await get('/app')).text(), 'the application');
      const { plaintext } = await pop.open(await sealTo(`${server.origin}/pop`, { a: 1 }));
      assert.equal(Buffer.from(plaintext).toString(), '{"a":1}');
    } finally {
      pop.close();
      await server.close();
    }
  });
});
