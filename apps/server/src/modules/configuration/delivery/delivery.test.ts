import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, get as httpGet, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import {
  type AgentSecrets,
  type BundlePayload,
  bundleHash,
  bundleType,
  contentHash,
  secretFingerprint,
} from '@gatehouse/configuration';
import {
  decodeBase64Url,
  decryptCompactJwe,
  importDecryptionKey,
  importVerificationKey,
  type PublicJwk,
  verifyCompactJws,
} from '@gatehouse/crypto';
import type { Gatehouse } from '../../../app.ts';
import { type AgentsFixture, createAgentsFixture, type TestAgent } from '../../../testing/agents-fixture.ts';

let fixture: AgentsFixture;
let other: Gatehouse;
const ports = new Map<unknown, number>();
const open = new Set<ClientRequest>();

before(async () => {
  fixture = await createAgentsFixture();
  other = await fixture.another();
  for (const node of [fixture, other]) {
    await node.app.listen({ host: '127.0.0.1', port: 0 });
    ports.set(node.app, (node.app.server.address() as AddressInfo).port);
  }
});
after(() => {
  for (const request of open) request.destroy();
});

interface Listener {
  readonly response: IncomingMessage;
  /** Resolves with the versions of all events so far, once there are this many. */
  events(count: number): Promise<number[]>;
  /** Resolves when the server has ended it. */
  readonly ended: Promise<void>;
  close(): void;
}

/** Opens a stream of events over a real connection. */
async function listen(
  path: string,
  token: string,
  options: { node?: Pick<Gatehouse, 'app'>; headers?: Record<string, string> } = {},
): Promise<Listener> {
  const request = httpGet({
    host: '127.0.0.1',
    port: ports.get((options.node ?? fixture).app),
    path,
    agent: false,
    headers: { authorization: `Bearer ${token}`, ...options.headers },
  });
  open.add(request);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  response.setEncoding('utf8');
  let text = '';
  let changed = () => {};
  response.on('data', (part: string) => {
    text += part;
    changed();
  });
  const ended = new Promise<void>((resolve) => {
    response.once('close', () => resolve());
  });
  response.on('error', () => {});
  request.on('error', () => {});
  const versions = () =>
    [...text.matchAll(/^id: (\d+)\nevent: version\ndata: \{"version":(\d+)\}\n$/gm)].map((match) => {
      assert.equal(match[1], match[2]);
      return Number(match[1]);
    });
  return {
    response,
    ended,
    async events(count) {
      while (versions().length < count) {
        await new Promise<void>((resolve) => {
          changed = resolve;
        });
      }
      return versions();
    },
    close() {
      open.delete(request);
      request.destroy();
    },
  };
}

/** A long-poll over a real connection. */
async function poll(
  path: string,
  token: string,
  node: Pick<Gatehouse, 'app'> = fixture,
): Promise<{ status: number; etag: string | null; body: string }> {
  const answer = await fetch(`http://127.0.0.1:${ports.get(node.app)}${path}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return { status: answer.status, etag: answer.headers.get('etag'), body: await answer.text() };
}

/** Resolves when so many wait on the node. */
async function untilWaiting(node: Pick<Gatehouse, 'metrics'>, count: number): Promise<void> {
  for (;;) {
    const text = await node.metrics.text();
    const waiting = [...text.matchAll(/^gatehouse_configuration_waiting\{kind="\w+"\} (\d+)$/gm)];
    if (waiting.reduce((sum, match) => sum + Number(match[1]), 0) === count) return;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** Verifies and opens an answer as an agent does. */
async function openAnswer(agent: TestAgent, answer: { bundle: string; secrets?: string }) {
  const jwks = (await fixture.app.inject({ url: '/v1/configuration/keys' })).json<{ keys: PublicJwk[] }>();
  const { payload } = await verifyCompactJws(answer.bundle, {
    typ: bundleType,
    algorithms: ['ES256'],
    findKey: ({ kid }) => {
      const {
        nbf: _nbf,
        exp: _exp,
        ...jwk
      } = jwks.keys.find((key) => key.kid === kid) as PublicJwk & {
        nbf?: number;
        exp?: number;
      };
      return importVerificationKey(jwk);
    },
  });
  const bundle = JSON.parse(Buffer.from(payload).toString()) as BundlePayload;
  if (answer.secrets === undefined) return { bundle, secrets: undefined };
  const key = importDecryptionKey(agent.keys.enc.privateJwk);
  const { plaintext, header } = await decryptCompactJwe(answer.secrets, {
    algorithms: ['ECDH-ES+A256KW'],
    contentAlgorithms: ['A256GCM'],
    findKey: () => key,
  });
  assert.equal(header.cty, 'json');
  return { bundle, secrets: JSON.parse(Buffer.from(plaintext).toString()) as AgentSecrets };
}

test('a version is handed out signed and chained, its secrets encrypted to the agent', async () => {
  await fixture.publish('bundles', { HOST: 'db-1', PORT: 5432, PASS: { $secret: 'kestrel-in-the-wind' } });
  await fixture.publish('bundles', { HOST: 'db-2', PORT: 5432, PASS: { $secret: { deep: ['kestrel-again'] } } });
  const agent = await fixture.agent();
  const second = await fixture.agent();
  const token = await agent.token();
  const path = '/v1/services/billing/bundles';
  const [one, two] = await Promise.all([1, 2].map((version) => fixture.get(`${path}/${version}/agent`, token)));
  assert.ok(one && two);
  assert.equal(one.statusCode, 200, one.body);
  assert.ok(!one.body.includes('kestrel'));
  const first = await openAnswer(agent, one.json());
  const next = await openAnswer(agent, two.json());
  assert.equal(first.bundle.iss, fixture.settings.publicUrl);
  assert.equal(first.bundle.previous_hash, '');
  assert.equal(next.bundle.previous_hash, first.bundle.hash);
  for (const { bundle, secrets } of [first, next]) {
    assert.equal(bundle.content_hash, contentHash(bundle.configuration));
    assert.equal(bundle.hash, bundleHash(bundle));
    const pass = bundle.configuration['PASS'] as unknown as { $secret: { fingerprint: string } };
    const delivered = secrets?.values['PASS'];
    assert.ok(delivered && secrets);
    assert.equal(secretFingerprint(decodeBase64Url(delivered.salt), delivered.value), pass.$secret.fingerprint);
    assert.equal(secrets.agent, agent.id);
    assert.equal(secrets.version, bundle.version);
    assert.equal(secrets.namespace, 'bundles');
  }
  assert.deepEqual(next.secrets?.values['PASS']?.value, { deep: ['kestrel-again'] });
  // The bundle is the same for all, the secrets are not; from another node too.
  const elsewhere = await fixture.get(`${path}/2/agent`, await second.token(), { app: other.app });
  const others = await openAnswer(second, elsewhere.json());
  assert.deepEqual(others.bundle, next.bundle);
  await assert.rejects(openAnswer(agent, elsewhere.json()));
  // The same again is the same bytes, and no other release.
  const again = await fixture.get(`${path}/2/agent`, token);
  assert.equal(again.body, two.body);
  const { rows } = await fixture.db.pool.query(
    `select actor_id, details->>'version' as version from audit.entries
      where action = 'configuration.secrets_delivered' order by position`,
  );
  assert.deepEqual(
    rows.map((row) => `${row.actor_id} ${row.version}`).toSorted(),
    [`${agent.id} 1`, `${agent.id} 2`, `${second.id} 2`].toSorted(),
  );
  assert.equal((await fixture.get(`${path}/3/agent`, token)).statusCode, 404);
  assert.equal((await fixture.get(`${path}/0/agent`, token)).statusCode, 400);
});

test('without the keys of an agent no secret is sent', async () => {
  await fixture.publish('fail-closed', { HOST: 'db-1', PASS: { $secret: 'wren-in-the-hedge' } });
  await fixture.publish('fail-closed', { HOST: 'db-1' });
  const service = await fixture.serviceToken();
  const path = '/v1/services/billing/fail-closed';
  const refused = await fixture.get(`${path}/1/agent`, service.token);
  assert.equal(refused.statusCode, 403);
  assert.equal(refused.json().code, 'configuration.enrolment_required');
  assert.ok(!refused.body.includes('wren'));
  const plain = await fixture.get(`${path}/2/agent`, service.token);
  assert.deepEqual(plain.json(), { HOST: 'db-1' });
  const agent = await fixture.agent();
  const token = await agent.token();
  assert.equal((await fixture.get(`${path}/1/agent`, token)).statusCode, 200);
  // The audit cannot be written: the secret is not released.
  await fixture.db.pool.query(
    `alter table audit.entries add constraint no_release check (action <> 'configuration.secrets_delivered') not valid`,
  );
  const fresh = await fixture.agent();
  const failed = await fixture.get(`${path}/1/agent`, await fresh.token());
  await fixture.db.pool.query('alter table audit.entries drop constraint no_release');
  assert.equal(failed.statusCode, 500);
  assert.ok(!failed.body.includes('secrets'));
  assert.ok(!fixture.logLines.some((line) => line.includes('wren-in-the-hedge')));
});

test('an agent that has a version hears 304, with since and with If-None-Match', async () => {
  await fixture.publish('unchanged', { A: '1' });
  const agent = await fixture.agent();
  const token = await agent.token();
  const path = '/v1/services/billing/unchanged';
  const first = await fixture.get(`${path}/agent`, token);
  assert.deepEqual(
    [first.statusCode, first.json(), first.headers.etag],
    [200, { version: 1, start_version: 1 }, '"1"'],
  );
  assert.equal((await fixture.get(`${path}/agent?since=1`, token)).statusCode, 304);
  assert.equal((await fixture.get(`${path}/agent?since=0`, token)).statusCode, 200);
  assert.equal((await fixture.get(`${path}/agent?since=7`, token)).statusCode, 200);
  assert.equal((await fixture.get(`${path}/agent`, token, { headers: { 'if-none-match': '"1"' } })).statusCode, 304);
  const bundle = await fixture.get(`${path}/1/agent`, token);
  const headers = { 'if-none-match': String(bundle.headers.etag) };
  const same = await fixture.get(`${path}/1/agent`, token, { headers });
  assert.deepEqual([same.statusCode, same.body], [304, '']);
  assert.equal((await fixture.get(`${path}/agent?wait=61`, token)).statusCode, 400);
  assert.equal((await fixture.get(`${path}/agent?wait=1&since=-1`, token)).statusCode, 400);
  const waited = await poll(`${path}/agent?wait=1&since=1`, token);
  assert.deepEqual(waited, { status: 304, etag: '"1"', body: '' });
});

test('who waits is answered by a publication on any node', async () => {
  await fixture.publish('waited', { A: '1' });
  const agent = await fixture.agent();
  const token = await agent.token();
  const path = '/v1/services/billing/waited/agent?wait=60&since=1';
  const answers = [fixture, fixture, other].map((node) => poll(path, token, node));
  await untilWaiting(fixture, 2);
  await untilWaiting(other, 1);
  await fixture.publish('waited', { A: '2' });
  for (const answer of await Promise.all(answers)) {
    assert.deepEqual(answer, { status: 200, etag: '"2"', body: '{"version":2}' });
  }
  // A version that comes before the waiting begins is answered at once.
  assert.equal((await poll(path, token, other)).body, '{"version":2}');
});

test('a read after an acknowledged publication gives it, on the other node, however many read', async () => {
  await fixture.publish('fresh', { A: '0' });
  const agent = await fixture.agent();
  const token = await agent.token();
  const state = { busy: true };
  const readers = Array.from({ length: 8 }, async () => {
    while (state.busy) await fixture.get('/v1/services/billing/fresh/agent', token, { app: other.app });
  });
  for (let round = 0; round < 30; round += 1) {
    const version = await fixture.publish('fresh', { A: String(round) });
    const read = await fixture.get('/v1/services/billing/fresh/agent', token, { app: other.app });
    assert.equal(read.json().version, version);
  }
  state.busy = false;
  await Promise.all(readers);
});

test('a stream has every version once and in order, and goes on at another node', async () => {
  await fixture.publish('streamed', { A: '0' });
  const agent = await fixture.agent();
  const token = await agent.token();
  const path = '/v1/services/billing/streamed/events';
  const first = await listen(path, token);
  assert.equal(first.response.headers['content-type'], 'text/event-stream; charset=utf-8');
  assert.deepEqual(await first.events(1), [1]);
  for (let index = 2; index <= 40; index += 1) await fixture.publish('streamed', { A: String(index) });
  const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
  assert.deepEqual(await first.events(40), numbers(1, 40));
  first.close();
  for (let index = 41; index <= 45; index += 1) await fixture.publish('streamed', { A: String(index) });
  const second = await listen(path, token, { node: other, headers: { 'last-event-id': '40' } });
  await fixture.publish('streamed', { A: '46' });
  assert.deepEqual(await second.events(6), numbers(41, 46));
  const third = await listen(`${path}?since=0`, token, { node: other });
  assert.deepEqual(await third.events(46), numbers(1, 46));
  const future = await listen(`${path}?since=900`, token);
  assert.deepEqual(await future.events(1), [46]);
  for (const one of [second, third, future]) one.close();
  await untilWaiting(fixture, 0);
  await untilWaiting(other, 0);
});

test('a lost announcement costs a second, not a version', async () => {
  await fixture.publish('lossy', { A: '0' });
  const agent = await fixture.agent();
  const token = await agent.token();
  const stream = await listen('/v1/services/billing/lossy/events', token);
  await stream.events(1);
  // As a publication whose announcement is lost.
  await fixture.db.pool.query(
    `update configuration.namespaces set latest_version = 4 where service = 'billing' and name = 'lossy'`,
  );
  assert.deepEqual(await stream.events(4), [1, 2, 3, 4]);
  stream.close();
});

test('a revoked agent, a deleted token and a suspended service are not kept waiting', async () => {
  await fixture.publish('ended', { A: '1' }, 'other');
  const path = '/v1/services/other/ended';
  const agent = await fixture.agent('other');
  const stays = await fixture.agent('other');
  const service = await fixture.serviceToken('other');
  const token = await agent.token();
  const streams = await Promise.all([
    listen(`${path}/events`, token, { node: other }),
    listen(`${path}/events`, service.token, { node: other }),
    listen(`${path}/events`, await stays.token(), { node: other }),
  ]);
  const [ofAgent, ofToken, kept] = streams;
  assert.ok(ofAgent && ofToken && kept);
  for (const one of streams) await one.events(1);
  const waiting = poll(`${path}/agent?wait=60&since=1`, token, other);
  await untilWaiting(other, 4);
  await fixture.acme('DELETE', `/v1/services/other/agents/${agent.id}`);
  await ofAgent.ended;
  assert.equal((await waiting).status, 304);
  await fixture.acme('DELETE', `/v1/services/other/tokens/${service.id}`);
  await ofToken.ended;
  await fixture.publish('ended', { A: '2' }, 'other');
  assert.deepEqual(await kept.events(2), [1, 2]);
  await fixture.acme('POST', '/v1/services/other/suspend');
  await kept.ended;
  await fixture.acme('POST', '/v1/services/other/restore');
});

test('a deleted namespace ends the waiting for it', async () => {
  await fixture.publish('gone', { A: '1' });
  const agent = await fixture.agent();
  const token = await agent.token();
  const stream = await listen('/v1/services/billing/gone/events', token);
  await stream.events(1);
  assert.equal((await fixture.acme('DELETE', '/v1/services/billing/gone')).status, 204);
  await stream.ended;
  assert.equal((await fixture.get('/v1/services/billing/gone/agent', token)).statusCode, 404);
});

test('500 that come back at once, to both nodes, get what they missed', async () => {
  await fixture.publish('crowded', { A: '0' });
  const tokens = await Promise.all(Array.from({ length: 10 }, async () => (await fixture.agent()).token()));
  const [token = ''] = tokens;
  const path = '/v1/services/billing/crowded/events';
  const join = (position: number) =>
    Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        listen(`${path}?since=${position}`, tokens[index % 10] ?? '', { node: index % 2 ? other : fixture }),
      ),
    );
  const crowd = await join(0);
  await Promise.all(crowd.map((one) => one.events(1)));
  for (const one of crowd) one.close();
  for (let index = 2; index <= 6; index += 1) await fixture.publish('crowded', { A: String(index) });
  const again = await join(1);
  await fixture.publish('crowded', { A: '7' });
  for (const one of again) assert.deepEqual(await one.events(6), [2, 3, 4, 5, 6, 7]);
  assert.equal((await fixture.get('/v1/services/billing/crowded/agent', token)).json().version, 7);
  for (const one of again) one.close();
  await untilWaiting(fixture, 0);
  await untilWaiting(other, 0);
});

test('a client that does not read takes no room and gets the rest when it reads', async () => {
  await fixture.publish('slow', { A: '0' });
  // More than the buffers of a connection hold.
  const latest = 200_000;
  await fixture.db.pool.query(
    `update configuration.namespaces set latest_version = $1 where service = 'billing' and name = 'slow'`,
    [latest],
  );
  const agent = await fixture.agent();
  const token = await agent.token();
  const request = httpGet({
    host: '127.0.0.1',
    port: ports.get(fixture.app),
    path: '/v1/services/billing/slow/events?since=0',
    agent: false,
    headers: { authorization: `Bearer ${token}` },
  });
  open.add(request);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.pause();
  await untilWaiting(fixture, 1);
  // Others are served meanwhile.
  assert.equal((await fixture.get('/v1/services/billing/slow/agent', token)).json().version, latest);
  response.setEncoding('utf8');
  let last = 0;
  let rest = '';
  for await (const part of response) {
    const lines = (rest + String(part)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('id: ')) continue;
      assert.equal(Number(line.slice(4)), last + 1);
      last += 1;
    }
    if (last === latest) break;
  }
  assert.equal(last, latest);
  request.destroy();
});

test('one agent cannot take the room of all', async () => {
  await fixture.publish('greedy', { A: '1' });
  const agent = await fixture.agent();
  const token = await agent.token();
  const path = '/v1/services/billing/greedy';
  const streams = await Promise.all(Array.from({ length: 100 }, () => listen(`${path}/events`, token)));
  for (const kind of ['events', 'agent?wait=60&since=1']) {
    const answer = await poll(`${path}/${kind}`, token);
    assert.equal(answer.status, 429);
    assert.equal(JSON.parse(answer.body).code, 'configuration.too_many_waiting');
  }
  const other = await fixture.agent();
  const neighbour = await listen(`${path}/events`, await other.token());
  assert.deepEqual(await neighbour.events(1), [1]);
  streams.pop()?.close();
  await untilWaiting(fixture, 100);
  const again = await listen(`${path}/events`, token);
  assert.deepEqual(await again.events(1), [1]);
  for (const one of [...streams, neighbour, again]) one.close();
  await untilWaiting(fixture, 0);
});

test('a node that stops lets everybody go within a moment', async () => {
  await fixture.publish('drained', { A: '1' });
  const agent = await fixture.agent();
  const token = await agent.token();
  const third = await fixture.another();
  await third.app.listen({ host: '127.0.0.1', port: 0 });
  ports.set(third.app, (third.app.server.address() as AddressInfo).port);
  const stream = await listen('/v1/services/billing/drained/events', token, { node: third });
  await stream.events(1);
  const waiting = poll('/v1/services/billing/drained/agent?wait=60&since=1', token, third);
  await untilWaiting(third, 2);
  await third.app.close();
  await stream.ended;
  assert.equal((await waiting).status, 304);
});
