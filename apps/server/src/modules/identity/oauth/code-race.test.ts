import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { after, test } from 'node:test';
import pg from 'pg';
import { createGatehouse, type Gatehouse } from '../../../app.ts';
import { createLog, createSystemRandom } from '../../../kernel/index.ts';
import {
  authorizePath,
  createBrowser,
  createOauthFixture,
  pkce,
  redirectUri,
  userPassword,
} from '../../../testing/oauth-fixture.ts';

/** A database that answers `delayMs` late: what separates "read, then write" from one conditional write. */
async function slowDatabase(connectionString: string, delayMs: number): Promise<string> {
  const { host, port } = new pg.Client({ connectionString });
  const proxy = createServer((client) => {
    const server = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
    client.on('data', (chunk) => setTimeout(() => server.write(chunk), delayMs));
    server.on('data', (chunk) => client.write(chunk));
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('close', () => other.destroy());
      one.on('error', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  after(() => proxy.close());
  const slow = new URL(connectionString);
  slow.host = `127.0.0.1:${(proxy.address() as { port: number }).port}`;
  for (const name of ['host', 'port']) slow.searchParams.delete(name);
  return slow.href;
}

const t = await createOauthFixture();
await t.createUser('alice');
const web = await t.createService('web', {
  grants: ['authorization_code'],
  redirect_uris: [redirectUri],
  first_party: true,
});

const nodes: Gatehouse[] = [];
const connectionString = await slowDatabase(t.connectionString, 4);
for (let index = 0; index < 3; index += 1) {
  const node = await createGatehouse({
    settings: t.settings,
    connectionString,
    clock: t.clock,
    random: createSystemRandom(),
    log: createLog({ level: 'silent' }),
  });
  await node.start();
  nodes.push(node);
}
after(async () => {
  for (const node of nodes) await node.stop();
});

test('one code, 20 redemptions at once on three nodes with a slow database: one wins', async () => {
  for (let round = 0; round < 3; round += 1) {
    const { verifier, challenge } = pkce();
    const target = await createBrowser(t.app).authorize(
      authorizePath({ client_id: web.clientId, code_challenge: challenge }),
      { username: 'alice', password: userPassword },
    );
    const form = {
      grant_type: 'authorization_code',
      code: target.searchParams.get('code') ?? '',
      redirect_uri: redirectUri,
      code_verifier: verifier,
    };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => t.post('/oauth/token', form, web, nodes[index % 3]?.app)),
    );
    const won = answers.filter((answer) => answer.statusCode === 200);
    assert.ok(won.length <= 1, `${won.length} redemptions of one code won`);
    for (const answer of answers) {
      if (answer.statusCode !== 200) assert.equal(answer.json().error, 'invalid_grant', answer.body);
    }
    assert.equal(won.length, 1);
  }
});
