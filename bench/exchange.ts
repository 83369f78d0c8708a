/** Token exchange with secret release beside its bare cryptography: verify ES256, seal by RSA-OAEP-256, sign ES256. */
import { createServer } from 'node:http';
import {
  encryptCompactJwe,
  generateKeyPair,
  importSigningKey,
  importVerificationKey,
  judgePublicJwk,
  signCompactJws,
  verifyCompactJws,
} from '@gatehouse/crypto';
import { call, type Figure, freePort, load, median, operator, signIn, startGatehouse } from './measure.ts';

export async function measureExchange(seconds: number): Promise<Figure[]> {
  const popPort = await freePort();
  const encryption = await generateKeyPair('RSA-OAEP-256');
  const popServer = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ keys: [{ ...encryption.publicJwk, use: 'enc' }] }));
  });
  popServer.listen(popPort, '127.0.0.1');
  const popOrigin = `http://127.0.0.1:${popPort}`;
  const gatehouse = await startGatehouse({ env: { GATEHOUSE_ALLOW_PRIVATE_NETWORKS: popOrigin } });
  try {
    const token = await signIn(gatehouse.url, operator);
    await call(`${gatehouse.url}/v1/organizations`, { token, body: { name: 'bench' } });
    const service = await call<{ client_id: string; client_secret: string }>(`${gatehouse.url}/v1/services`, {
      token,
      organization: 'bench',
      body: { name: 'records', grants: ['token_exchange'], pop_url: `${popOrigin}/pop` },
    });
    const user = { username: 'alice', password: 'a long enough passphrase' };
    await call(`${gatehouse.url}/v1/users`, { token, organization: 'bench', body: user });
    const request = {
      url: `${gatehouse.url}/oauth/token`,
      method: 'POST' as const,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`${service.client_id}:${service.client_secret}`).toString('base64')}`,
      },
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: await signIn(gatehouse.url, user),
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        audience: 'bench.records',
      }).toString(),
      connections: 16,
    };
    await load({ ...request, seconds: 2 });
    const floor = await createFloor(encryption.publicJwk);
    const rates: number[] = [];
    const floors: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const run = await load({ ...request, seconds });
      if (run.failures > 0) throw new Error(`${run.failures} exchanges failed`);
      rates.push(run.perSecond);
      floors.push(await floor(seconds));
    }
    return [
      {
        name: 'token exchange with secret release',
        beside: 'verify + encrypt + sign in one process',
        value: median(rates),
        other: median(floors),
        unit: '/s',
        budget: { atLeast: 0.5 },
      },
    ];
  } finally {
    await gatehouse.stop();
    popServer.close();
  }
}

async function createFloor(recipient: object): Promise<(seconds: number) => Promise<number>> {
  const pair = await generateKeyPair('ES256');
  const key = importSigningKey(pair.privateJwk, 'ES256');
  const verification = importVerificationKey(pair.publicJwk, 'ES256');
  const { jwk } = judgePublicJwk(recipient, { use: 'enc' });
  const payload = {
    iss: 'x',
    sub: 'alice',
    aud: 'bench.records',
    exp: 1,
    iat: 0,
    jti: 'x',
    roles: ['developer'],
    scope: '',
  };
  const subject = signCompactJws({ key, payload, typ: 'at+jwt' });
  return async (seconds) => {
    let count = 0;
    const started = performance.now();
    while (performance.now() - started < seconds * 1000) {
      await verifyCompactJws(await subject, { findKey: () => verification, typ: 'at+jwt' });
      const sealed = encryptCompactJwe({ jwk, plaintext: 'x'.repeat(43) });
      await signCompactJws({ key, payload: { ...payload, secret: { 'bench.records': sealed } }, typ: 'at+jwt' });
      count += 1;
    }
    return (count * 1000) / (performance.now() - started);
  };
}
