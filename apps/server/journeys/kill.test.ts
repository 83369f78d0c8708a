/**
 * `kill -9` of a server on its embedded store, 20 times, in the middle of a stream of writes. What was answered is there
 * afterwards, the audit trail is whole, keys and secrets open, and nothing is left running.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { compactDecrypt, exportJWK, generateKeyPair } from 'jose';
import {
  type Administrator,
  accessTokenType,
  administrator,
  clientCredentials,
  createService,
  createUser,
  post,
  signIn,
  type TestService,
  type Tokens,
  tokenExchangeGrant,
  userSecretType,
} from './support/client.ts';
import { until } from './support/conditions.ts';
import { type Answer, BrokenConnection, call } from './support/http.ts';
import { freePort, type Program, processesOf, runProgram, startProgram } from './support/programs.ts';

const kills = 20;
const writers = 4;

/** What the server has answered for. */
interface Acknowledged {
  users: { uid: string; username: string }[];
  services: (TestService & { name: string })[];
  suspended: string[];
}

describe('killed in a stream of acknowledged writes', () => {
  let folder: string;
  let url: string;
  let env: Record<string, string>;
  let server: Program;
  const operator = { username: 'root-operator', password: randomBytes(18).toString('base64url') };
  const alice = { username: 'alice', password: randomBytes(18).toString('base64url') };
  const outputs: (() => string)[] = [];

  const start = async () => {
    server = await startProgram({
      name: 'The server',
      script: 'apps/server/src/main.ts',
      cwd: folder,
      env,
      readyText: /^Gatehouse is ready/m,
    });
    outputs.push(server.output);
  };
  const cli = (...args: string[]) =>
    runProgram('apps/cli/src/main.ts', args, {
      cwd: folder,
      env: { GATEHOUSE_URL: url, GATEHOUSE_CONFIG_DIR: join(folder, 'cli') },
    });
  let organizationAdmin: Administrator;
  let operatorTokens: { tokens: Tokens; at: number } | undefined;
  /** One session for many calls; a new one before the token ends. */
  const operatorToken = async () => {
    if (!operatorTokens || performance.now() - operatorTokens.at > 300_000) {
      operatorTokens = { tokens: await signIn(url, operator), at: performance.now() };
    }
    return operatorTokens.tokens.access_token;
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-kill-'));
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    env = {
      GATEHOUSE_PORT: String(port),
      GATEHOUSE_DATA_DIR: join(folder, 'data'),
      GATEHOUSE_ADMIN_USERNAME: operator.username,
      GATEHOUSE_ADMIN_PASSWORD: operator.password,
      GATEHOUSE_LOG_LEVEL: 'info',
    };
    await start();
    await call(`${url}/v1/organizations`, { token: await operatorToken(), json: { name: 'acme' } });
    organizationAdmin = administrator(operatorToken, 'acme');
  });
  after(async () => {
    if (server?.isRunning()) await server.kill();
    await until('the database has ended with its server', async () => (await processesOf(folder)).size === 0, 60);
    await rm(folder, { recursive: true, force: true });
  });

  it(`${kills} times: ready again, and every answered write is there`, async (t) => {
    const { publicKey, privateKey } = await generateKeyPair('RSA-OAEP-256', { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: 'records-key', use: 'enc', alg: 'RSA-OAEP-256' };
    const records = await createService(url, organizationAdmin, 'records', {
      grants: ['client_credentials', 'token_exchange'],
      jwks: { keys: [jwk] },
    });
    await createUser(url, organizationAdmin, alice);
    /** Signs in and has alice's secret released: opens a data key, the secret, and our signing and encryption keys. */
    const secretOfAlice = async () => {
      const { access_token: token } = await signIn(url, alice);
      const form = {
        grant_type: tokenExchangeGrant,
        subject_token: token,
        subject_token_type: accessTokenType,
        requested_token_type: userSecretType,
      };
      const answer = await post(`${url}/oauth/token`, form, records);
      assert.equal(answer.status, 200, answer.body);
      const { plaintext } = await compactDecrypt(answer.json<Tokens>().access_token, privateKey);
      return Buffer.from(plaintext).toString();
    };
    const secret = await secretOfAlice();
    assert.equal(Buffer.from(secret, 'base64url').length, 32);

    const acknowledged: Acknowledged = { users: [], services: [], suspended: [] };
    const startSeconds: number[] = [];
    let answered = 0;
    for (let round = 0; round < kills; round += 1) {
      const before = answered;
      let killed = false;
      // Each writer goes on until its connection breaks; only then is the next answer no longer awaited.
      const streams = Array.from({ length: writers }, async (_, writer) => {
        for (;;) {
          try {
            await writeSomething(writer + answered, { url, admin: organizationAdmin, acknowledged });
            answered += 1;
          } catch (error) {
            if (killed && error instanceof BrokenConnection) return;
            throw error;
          }
        }
      });
      const streaming = Promise.all(streams);
      // The kill comes somewhere inside a request, each time elsewhere.
      await Promise.race([streaming, until('writes were answered', () => answered >= before + 12 + (round % 7), 30)]);
      killed = true;
      await server.kill();
      await streaming;
      const since = performance.now();
      await start();
      startSeconds.push((performance.now() - since) / 1000);
      await assertAllThere(acknowledged, { url, admin: organizationAdmin });
    }
    assert.equal(await secretOfAlice(), secret, 'the secret of before the first kill');
    for (const service of acknowledged.services.slice(0, 5)) await clientCredentials(url, service);
    const slowest = Math.max(...startSeconds).toFixed(1);
    t.diagnostic(`${answered} answered writes, ${kills} kills, slowest start ${slowest} s`);
    assert.ok(answered >= kills * 12);
  });

  it('the audit trail is whole and tells of every write', async () => {
    await writeFile(join(folder, 'operator.password'), operator.password, { mode: 0o600 });
    const login = await cli('login', '--username', operator.username, '--password-file', 'operator.password');
    assert.equal(login.exitCode, 0, login.output);
    const token = await operatorToken();
    await until('everything is sealed', async () => {
      const page = (await call(`${url}/v1/audit?organization=*&limit=1`, { token })).json<{
        items: { sequence?: number }[];
      }>();
      return page.items[0]?.sequence !== undefined;
    });
    const verified = await cli('audit', 'verify', '--save-checkpoint', 'checkpoint.json');
    assert.equal(verified.exitCode, 0, verified.output);
    assert.match(verified.output, /The audit trail is whole/);
    const again = await cli('audit', 'verify', '--checkpoint', 'checkpoint.json');
    assert.equal(again.exitCode, 0, again.output);
    const lines = (await call(`${url}/v1/audit/export`, { token })).body.trim().split('\n');
    const entries = lines.map((line) => JSON.parse(line) as { entry?: { action: string; target?: { id: string } } });
    const text = JSON.stringify(entries);
    const users = await organizationAdmin('GET', `${url}/v1/users?limit=200`);
    for (const { uid } of users.json<{ items: { uid: string }[] }>().items) assert.ok(text.includes(uid), uid);
  });

  it('said nothing alarming, ends in order, and leaves no process', async () => {
    assert.ok((await processesOf(folder)).size > 0, 'the check sees the server’s own processes');
    await server.stop();
    assert.deepEqual([...(await processesOf(folder)).values()], []);
    const alarms = outputs
      .flatMap((output) => output().split('\n'))
      .filter((line) => /"level":"(error|fatal)"|PANIC|corrupt|invalid page/.test(line));
    assert.deepEqual(alarms, []);
  });
});

interface Scene {
  url: string;
  admin: Administrator;
}

/** One write of several kinds; noted when, and only when, the server has answered for it. */
async function writeSomething(number: number, { url, admin, acknowledged }: Scene & { acknowledged: Acknowledged }) {
  const name = `w-${randomUUID().slice(0, 13)}`;
  const victim = acknowledged.users.find((user) => !acknowledged.suspended.includes(user.uid));
  if (number % 5 === 3 && victim) {
    const answer = await admin('POST', `${url}/v1/users/${victim.uid}/suspend`);
    if (answer.status === 409) return; // another writer was first
    assertStatus(answer, 200);
    acknowledged.suspended.push(victim.uid);
  } else if (number % 5 === 4) {
    const answer = await admin('POST', `${url}/v1/services`, { name, grants: ['client_credentials'] });
    assertStatus(answer, 201);
    const { client_id: clientId, client_secret: secret } = answer.json<{ client_id: string; client_secret: string }>();
    acknowledged.services.push({ name, clientId, secret });
  } else {
    const answer = await admin('POST', `${url}/v1/users`, { username: name });
    assertStatus(answer, 201);
    acknowledged.users.push({ uid: answer.json<{ uid: string }>().uid, username: name });
  }
}

/** Reads back what was answered. */
async function assertAllThere(acknowledged: Acknowledged, { url, admin }: Scene): Promise<void> {
  const missing: string[] = [];
  const users = await listAll<{ uid: string; username: string; status: string }>(admin, `${url}/v1/users`);
  const services = await listAll<{ name: string }>(admin, `${url}/v1/services`);
  const byUid = new Map(users.map((user) => [user.uid, user]));
  const names = new Set(services.map((service) => service.name));
  for (const { uid, username } of acknowledged.users) {
    if (byUid.get(uid)?.username !== username) missing.push(`user ${username}`);
  }
  for (const uid of acknowledged.suspended) {
    if (byUid.get(uid)?.status === 'active') missing.push(`suspension of ${uid}`);
  }
  for (const { name } of acknowledged.services) if (!names.has(name)) missing.push(`service ${name}`);
  assert.deepEqual(missing, [], 'answered, and lost');
}

async function listAll<T>(admin: Administrator, address: string): Promise<T[]> {
  const items: T[] = [];
  for (let cursor = ''; ; ) {
    const answer = await admin('GET', `${address}?limit=200${cursor}`);
    assertStatus(answer, 200);
    const page = answer.json<{ items: T[]; next_cursor?: string }>();
    items.push(...page.items);
    if (page.next_cursor === undefined) return items;
    cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
}

function assertStatus(answer: Answer, status: number): void {
  assert.equal(answer.status, status, answer.body);
}
