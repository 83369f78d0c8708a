import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { isGatehouseError } from '../errors.ts';
import { type StandInServer, startStandInServer, until } from '../testing/stand-in-server.ts';
import { createAgentIdentity } from './agent-identity.ts';
import { createRolloutClient, type RolloutClient } from './rollout-client.ts';

describe('reports and slots', () => {
  let server: StandInServer;
  let root: string;
  let client: RolloutClient;
  let count = 0;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'gatehouse-rollout-'));
  });
  after(() => rm(root, { recursive: true }));
  beforeEach(async () => {
    server = await startStandInServer();
    server.publish({ A: 1 });
    const identity = await createAgentIdentity({
      url: server.origin,
      service: 'billing',
      stateDir: join(root, `agent-${(count += 1)}`),
      serviceToken: 'service',
    });
    const backOff = { baseSeconds: 0.01, capSeconds: 0.02 };
    client = createRolloutClient({ identity, namespace: 'default', backOff });
  });
  afterEach(async () => {
    await client.close();
    await server.close();
  });

  it('are delivered in their order, through times without the server', async () => {
    await client.report(1, 'received');
    await server.goAway();
    const all = [
      client.report(1, 'applied'),
      client.report(1, 'unhealthy'),
      client.report(2, 'rejected', 'x'.repeat(900)),
    ];
    await server.comeBack();
    await Promise.all(all);
    assert.deepEqual(server.reports(), ['1 received', '1 applied', '1 unhealthy', '2 rejected']);
    const reasons = server.requests.filter(({ line }) => line.endsWith('/instance')).map(({ body }) => body.reason);
    assert.deepEqual(reasons, [undefined, undefined, 'no reason given', 'x'.repeat(500)]);
  });

  it('are dropped when the server refuses them, and never reject', async () => {
    server.before = (line) => (line.endsWith('/instance') ? { status: 404 } : undefined);
    await client.report(9, 'applied');
    server.before = undefined;
    await client.report(1, 'applied');
    assert.deepEqual(server.reports(), ['9 applied', '1 applied']);
  });

  it('keep the newest when too many wait', async () => {
    await server.goAway();
    const all = Array.from({ length: 60 }, (_, index) => client.report(index + 1, 'applied'));
    await server.comeBack();
    await Promise.all(all);
    const versions = server.reports().map((line) => Number.parseInt(line, 10));
    assert.ok(versions.length <= 33, String(versions.length));
    assert.equal(versions.at(-1), 60);
    assert.deepEqual(
      versions,
      [...versions].sort((a, b) => a - b),
    );
  });

  it('end with the client', async () => {
    await server.goAway();
    const waiting = client.report(1, 'applied');
    await client.close({ seconds: 0.05 });
    await waiting;
    await client.report(1, 'healthy');
    await server.comeBack();
    assert.deepEqual(server.reports(), []);
  });

  it('asks for a slot', async () => {
    const granted = await client.requestSlot(1);
    assert.deepEqual(granted, { granted: true, expiresAt: new Date('2030-01-01T00:00:00.000Z') });
    server.slot = () => ({ granted: false, reason: 'canary', retry_after: 7, latest_version: 3 });
    assert.deepEqual(await client.requestSlot(1, { waitSeconds: 0 }), {
      granted: false,
      reason: 'canary',
      retryAfterSeconds: 7,
      latestVersion: 3,
    });
    const asked = server.requests.filter(({ line }) => line.endsWith('/slot')).map(({ body }) => body);
    assert.deepEqual(asked, [
      { version: 1, wait: 50 },
      { version: 1, wait: 0 },
    ]);
    await server.goAway();
    await assert.rejects(client.requestSlot(1), (error) => isGatehouseError(error, 'server_unavailable'));
    await server.comeBack();
  });

  it('waits for a slot, and gives up when it is told to', async () => {
    let asked = 0;
    server.slot = () => {
      asked += 1;
      return asked < 2
        ? { granted: false, reason: 'max_unavailable', retry_after: 1 }
        : { granted: true, expires_at: '2030-01-01T00:00:00.000Z' };
    };
    const slot = await client.waitForSlot(1, { signal: new AbortController().signal });
    assert.equal(slot.expiresAt.getFullYear(), 2030);
    server.slot = () => ({ granted: false, reason: 'stopped', retry_after: 30 });
    const ending = new AbortController();
    const waiting = client.waitForSlot(1, { signal: ending.signal });
    await until('it was asked', () => server.requests.filter(({ line }) => line.endsWith('/slot')).length === 3);
    const reason = new Error('a newer version waits');
    ending.abort(reason);
    await assert.rejects(waiting, reason);
  });
});
