/** Client-credentials tokens (ES256) beside a bare in-memory `oidc-provider`: our database and audit included. */
import {
  call,
  type Figure,
  freePort,
  load,
  median,
  operator,
  signIn,
  startGatehouse,
  startProcess,
} from './measure.ts';

export async function measureTokens(seconds: number): Promise<Figure[]> {
  const peerPort = await freePort();
  const peer = await startProcess('bench/peers/oidc-provider.ts', {
    port: peerPort,
    path: '/.well-known/openid-configuration',
    env: { PORT: String(peerPort) },
  });
  const gatehouse = await startGatehouse();
  try {
    const token = await signIn(gatehouse.url, operator);
    await call(`${gatehouse.url}/v1/organizations`, { token, body: { name: 'bench' } });
    const service = await call<{ client_id: string; client_secret: string }>(`${gatehouse.url}/v1/services`, {
      token,
      organization: 'bench',
      body: { name: 'machine', grants: ['client_credentials'] },
    });
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const ours = {
      url: `${gatehouse.url}/oauth/token`,
      method: 'POST' as const,
      headers: { ...form, authorization: basic(service.client_id, service.client_secret) },
      body: 'grant_type=client_credentials',
      connections: 32,
    };
    const theirs = {
      url: `${peer.url}/token`,
      method: 'POST' as const,
      headers: { ...form, authorization: basic('peer', 'peer-secret') },
      body: 'grant_type=client_credentials&resource=urn:peer:api',
      connections: 32,
    };
    await load({ ...ours, seconds: 2 });
    await load({ ...theirs, seconds: 2 });
    const ourRates: number[] = [];
    const theirRates: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const mine = await load({ ...ours, seconds });
      const other = await load({ ...theirs, seconds });
      if (mine.failures + other.failures > 0)
        throw new Error(`requests failed: ours ${mine.failures}, peer ${other.failures}`);
      ourRates.push(mine.perSecond);
      theirRates.push(other.perSecond);
    }
    return [
      {
        name: 'client-credentials tokens',
        beside: 'bare in-memory oidc-provider',
        value: median(ourRates),
        other: median(theirRates),
        unit: '/s',
        budget: { atLeast: 1 },
      },
    ];
  } finally {
    await gatehouse.stop();
    await peer.stop();
  }
}

function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`;
}
