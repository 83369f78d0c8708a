/**
 * `kill -9` of a server in the middle of telling a receiver: whatever was answered to its caller is told, at least once,
 * and the receiver can tell repetitions by their id.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { administrator, createUser, signIn } from './support/client.ts';
import { until } from './support/conditions.ts';
import { BrokenConnection } from './support/http.ts';
import { freePort, type Program, processesOf, startProgram } from './support/programs.ts';

const kills = 3;

describe('a receiver hears of everything, though the server is killed', () => {
  const operator = { username: 'root-operator', password: randomBytes(18).toString('base64url') };
  const told: { id: string; uid: string }[] = [];
  const held: ServerResponse[] = [];
  let holding = false;
  const receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      // While holding, the receiver has taken the message and has not answered: nobody knows whether it has it.
      if (holding) held.push(response);
      else {
        const { data } = JSON.parse(body) as { data: { target: { id: string } } };
        told.push({ id: String(request.headers['webhook-id']), uid: data.target.id });
        response.writeHead(204).end();
      }
    });
  });
  let folder: string;
  let url: string;
  let env: Record<string, string>;
  let server: Program;
  const start = async () => {
    const script = 'apps/server/src/main.ts';
    server = await startProgram({ name: 'The server', script, cwd: folder, env, readyText: /^Gatehouse is ready/m });
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-webhooks-'));
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    env = {
      GATEHOUSE_PORT: String(port),
      GATEHOUSE_DATA_DIR: join(folder, 'data'),
      GATEHOUSE_ADMIN_USERNAME: operator.username,
      GATEHOUSE_ADMIN_PASSWORD: operator.password,
      GATEHOUSE_ALLOW_PRIVATE_NETWORKS: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`,
    };
    await start();
  });
  after(async () => {
    if (server?.isRunning()) await server.stop();
    receiver.closeAllConnections();
    receiver.close();
    await until('the database has ended with its server', async () => (await processesOf(folder)).size === 0, 60);
    await rm(folder, { recursive: true, force: true });
  });

  it('at least once, each with one id', async (t) => {
    const { access_token: token } = await signIn(url, operator);
    const admin = administrator(token);
    const hook = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
    const made = await admin('POST', `${url}/v1/webhooks`, { url: hook, events: ['user.created'] });
    assert.equal(made.status, 201, made.body);

    const acknowledged: string[] = [];
    for (let round = 0; round < kills; round += 1) {
      const first = acknowledged.length;
      let killed = false;
      const writing = (async () => {
        for (;;) {
          try {
            acknowledged.push(await createUser(url, admin, { username: `user-${round}-${acknowledged.length}` }));
          } catch (error) {
            if (killed && error instanceof BrokenConnection) return;
            throw error;
          }
        }
      })();
      await until('writes were answered', () => acknowledged.length >= first + 10, 30);
      holding = true;
      await until('deliveries are under way', () => held.length > 0, 30);
      killed = true;
      await server.kill();
      await writing;
      for (const response of held.splice(0)) response.destroy();
      holding = false;
      await start();
    }
    await until('everything was told', () => acknowledged.every((uid) => told.some((one) => one.uid === uid)), 60);
    const ids = new Map(told.map(({ id, uid }) => [uid, id]));
    assert.ok(told.every(({ id, uid }) => ids.get(uid) === id));
    t.diagnostic(`${acknowledged.length} answered writes, ${told.length} messages, ${kills} kills`);
  });
});
