import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { generateKeyPair } from '@gatehouse/crypto';
import { isGatehouseError } from '../errors.ts';
import { type StandInServer, startStandInServer, until } from '../testing/stand-in-server.ts';
import { createAgentIdentity } from './agent-identity.ts';
import type { ConfigurationVersion } from './configuration-version.ts';
import { createFollower, type Follower, type FollowerOptions } from './follower.ts';

describe('a follower', () => {
  let server: StandInServer;
  let root: string;
  let stateDir: string;
  let count = 0;
  const running = new Set<Follower>();
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'gatehouse-follower-'));
  });
  after(() => rm(root, { recursive: true }));
  beforeEach(async () => {
    server = await startStandInServer();
    stateDir = join(root, `agent-${(count += 1)}`);
  });
  afterEach(async () => {
    for (const each of running) await each.close();
    running.clear();
    await server.close();
  });

  /** A follower, what it was handed, and what it refused. */
  async function follow(more: Partial<FollowerOptions> = {}) {
    const options = { url: server.origin, service: 'acme.billing', stateDir };
    const identity = await createAgentIdentity({ ...options, serviceToken: 'service' });
    const handed: ConfigurationVersion[] = [];
    const refused: string[] = [];
    const follower = createFollower({
      identity,
      namespaces: ['default'],
      backOff: { baseSeconds: 0.01, capSeconds: 0.05 },
      onRejected: ({ version, reason }) => refused.push(`${version}: ${reason}`),
      ...more,
      async apply(version, context) {
        await more.apply?.(version, context);
        handed.push(version);
      },
    });
    running.add(follower);
    return { follower, handed, refused, identity, numbers: () => handed.map(({ version }) => version) };
  }
  async function restarted(more: Partial<FollowerOptions> = {}) {
    for (const each of running) await each.close();
    running.clear();
    return follow(more);
  }
  const polls = () =>
    server.requests.filter(({ line }) => /\/agent(\?|$)/.test(line) && !/\d\/agent/.test(line)).length;

  it('hands over every version it learns of, verified, secrets opened, with the changed keys', async () => {
    server.publish({ HOST: 'a', PASS: { $secret: 'canary' }, LIST: [1, { x: true }] });
    const { follower, handed } = await follow();
    await follower.ready;
    const [first] = handed;
    assert.ok(first);
    assert.deepEqual({ ...first.values }, { HOST: 'a', PASS: 'canary', LIST: [1, { x: true }] });
    assert.deepEqual([first.version, first.source, first.kind], [1, 'server', 'author']);
    assert.deepEqual([first.secretKeys, first.changedKeys], [['PASS'], ['HOST', 'LIST', 'PASS']]);
    assert.throws(() => Object.assign(first.values, { HOST: 'x' }), TypeError);
    assert.throws(() => (first.values.LIST as unknown[]).push(2), TypeError);
    server.publish({ HOST: 'a', PASS: { $secret: 'canary' }, LIST: [1, { x: false }], NEW: null });
    await until('version 2 is handed over', () => handed.length === 2);
    assert.deepEqual(handed[1]?.changedKeys, ['LIST', 'NEW']);
    server.publish({ HOST: 'b' });
    await until('version 3 is in use', () => follower.current('default')?.version === 3);
    assert.deepEqual(handed[2]?.changedKeys, ['HOST', 'LIST', 'NEW', 'PASS']);
    const { state, version, failures, source, rejected } = follower.status('default');
    assert.deepEqual([state, version, failures, source, rejected], ['current', 3, 0, 'server', undefined]);
  });

  it('waits with one request at a time, and notices at once', async () => {
    server.publish({ A: 1 });
    const { follower, handed } = await follow();
    await follower.ready;
    await until('it waits', () => server.requests.some(({ line }) => line.endsWith('agent?wait=60&since=1')));
    const before = polls();
    server.publish({ A: 2 });
    await until('the next is there', () => handed.length === 2);
    await until('it waits again', () => server.requests.some(({ line }) => line.endsWith('agent?wait=60&since=2')));
    assert.equal(polls(), before + 1);
  });

  it('follows several namespaces, each by itself', async () => {
    server.publish({ A: 1 });
    server.publish({ B: 1 }, 'other');
    const { follower, handed } = await follow({ namespaces: ['default', 'other', 'default'] });
    await follower.ready;
    server.publish({ B: 2 }, 'other');
    await until('other has its second', () => follower.current('other')?.version === 2);
    assert.equal(follower.current('default')?.version, 1);
    assert.deepEqual(handed.map(({ namespace }) => namespace).sort(), ['default', 'other', 'other']);
    assert.throws(() => follower.current('third'), /not followed/);
  });

  it('follows many namespaces without a warning', async () => {
    const warnings: string[] = [];
    const listen = (warning: Error) => warnings.push(warning.message);
    process.on('warning', listen);
    try {
      const namespaces = Array.from({ length: 40 }, (_, index) => `n-${index}`);
      for (const namespace of namespaces) server.publish({ A: 1 }, namespace);
      const { follower } = await follow({ namespaces });
      await follower.ready;
      await until('all wait', () => server.requests.filter(({ line }) => line.includes('wait=60')).length >= 40);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      assert.deepEqual(warnings, []);
    } finally {
      process.off('warning', listen);
    }
  });

  it('does not throttle itself into a storm when a proxy does not let it wait', async () => {
    server.publish({ A: 1 });
    server.before = (line) => (line.includes('wait=') ? { status: 304 } : undefined);
    const { follower } = await follow();
    await follower.ready;
    await until('it has polled', () => polls() >= 2);
    const before = polls();
    await new Promise((resolve) => {
      setTimeout(resolve, 300);
    });
    assert.ok(polls() <= before + 1, `${polls() - before} polls in 300 ms`);
  });

  describe('refuses, keeps the last good version, and goes on when things are right again:', () => {
    type Lie = [string, RegExp, (server: StandInServer) => unknown];
    const lies: Lie[] = [
      [
        'a bundle signed by somebody else',
        /does not verify|signature/i,
        async (s) => {
          // The foreign key claims the name of the published one.
          const foreign = await generateKeyPair('ES256');
          s.signingKey = { ...foreign, privateJwk: { ...foreign.privateJwk, kid: s.signingKey.kid } };
        },
      ],
      [
        'a key that is not published',
        /key/i,
        async (s) => {
          s.signingKey = await generateKeyPair('ES256');
        },
      ],
      [
        'a key that was compromised',
        /key|malformed|keys/i,
        async (s) => {
          const other = await generateKeyPair('ES256');
          s.signingKey = other;
          s.publishedKeys = [...s.publishedKeys, { ...other.publicJwk, revoked: { revoked_at: 1 } }];
        },
      ],
      ['another kind of token', /typ/, (s) => (s.typ = 'at+jwt')],
      ['another namespace', /namespace/, (s) => (s.forge = (payload) => ({ ...payload, namespace: 'other' }))],
      ['another issuer', /iss/, (s) => (s.forge = (payload) => ({ ...payload, iss: 'https://evil.example.com' }))],
      [
        'an earlier version',
        /version 1, not 2/,
        (s) => (s.forge = () => s.versions.get('default')?.[0]?.payload ?? {}),
      ],
      [
        'changed values',
        /content_hash/,
        (s) => (s.forge = (payload) => ({ ...payload, configuration: { A: 'evil' } })),
      ],
      ['a broken chain', /hash/, (s) => (s.forge = (payload) => ({ ...payload, previous_hash: 'other' }))],
      [
        'changed secrets',
        /fingerprint/,
        (s) => {
          const last = s.versions.get('default')?.at(-1);
          if (last?.secrets.PASS) last.secrets.PASS = { ...last.secrets.PASS, value: 'evil' };
        },
      ],
    ];
    for (const [name, pattern, lie] of lies) {
      it(name, async () => {
        const good = server.signingKey;
        server.publish({ A: 1, PASS: { $secret: 'one' } });
        const { follower, refused, numbers } = await follow();
        await follower.ready;
        // Between two polls, so that the lie is there before the version.
        server.before = () => ({ status: 503 });
        server.publish({ A: 2, PASS: { $secret: 'two' } });
        await lie(server);
        server.before = undefined;
        await until('it is refused', () => follower.status('default').state === 'rejected');
        assert.match(follower.status('default').rejected?.reason ?? '', pattern);
        assert.equal(follower.status('default').rejected?.version, 2);
        assert.deepEqual(numbers(), [1]);
        assert.equal(follower.current('default')?.values.PASS, 'one');
        assert.equal(refused.length, 1, 'told once, however often it is tried');
        server.signingKey = good;
        server.typ = 'gatehouse-configuration+jwt';
        server.forge = undefined;
        server.publish({ A: 3 });
        await until('version 3 is in use', () => follower.current('default')?.version === 3);
        assert.equal(follower.status('default').state, 'current');
      });
    }

    it('a server that went back to an older version', async () => {
      server.publish({ A: 1 });
      server.publish({ A: 2 });
      const { follower, numbers } = await follow();
      await follower.ready;
      const last = server.versions.get('default')?.pop();
      assert.ok(last);
      await server.goAway();
      await server.comeBack();
      await until('it is refused', () => follower.status('default').state === 'rejected');
      assert.match(follower.status('default').rejected?.reason ?? '', /version 1, older than the last seen serial 2/);
      server.versions.get('default')?.push(last);
      await until('all is well', () => follower.status('default').state === 'current');
      assert.deepEqual(numbers(), [2]);
    });

    it('another history under the same numbers, also after a restart', async () => {
      server.publish({ A: 1 });
      server.publish({ A: 2 });
      const { follower } = await follow();
      await follower.ready;
      await follower.close();
      server.versions.set('default', []);
      for (const value of ['x', 'y', 'z']) server.publish({ A: value });
      const second = await restarted();
      await second.follower.ready;
      assert.equal(second.follower.current('default')?.values.A, 2, 'the local copy');
      await until('it is refused', () => second.follower.status('default').rejected?.version === 3);
      assert.match(second.refused[0] ?? '', /does not follow the version 2/);
    });
  });

  it('reports a version that the program rejects, and keeps the one before', async () => {
    server.publish({ A: 1 });
    const { follower, refused } = await follow({
      apply: ({ values }) => {
        if (values.A === 'bad') throw new Error('A must be a number');
      },
    });
    await follower.ready;
    server.publish({ A: 'bad' });
    await until('it is rejected', () => follower.status('default').state === 'rejected');
    assert.deepEqual(follower.status('default').rejected, { version: 2, reason: 'A must be a number' });
    assert.equal(follower.current('default')?.version, 1);
    await until('it waits for the next', () => server.requests.some(({ line }) => line.includes('since=2')));
    assert.deepEqual(refused, ['2: A must be a number']);
    // A restart tries it again, and starts from the copy when it still does not do.
    const second = await restarted({
      apply: ({ values }) => {
        if (values.A === 'bad') throw new Error('still bad');
      },
    });
    await second.follower.ready;
    assert.deepEqual([second.numbers(), second.handed[0]?.source], [[1], 'copy']);
    assert.deepEqual(second.refused, ['2: still bad']);
    server.publish({ A: 3 });
    await until('the next is in use', () => second.follower.current('default')?.version === 3);
    assert.equal(second.follower.status('default').rejected, undefined);
  });

  it('says so when the first version is refused and there is nothing else', async () => {
    server.publish({ A: 'bad' });
    const { follower } = await follow({
      apply: () => {
        throw new Error('not like this');
      },
    });
    await assert.rejects(follower.ready, (error) => isGatehouseError(error, 'version_refused'));
  });

  it('says so when there is no such namespace, and goes on asking', async () => {
    const { follower } = await follow();
    await assert.rejects(follower.ready, (error) => isGatehouseError(error, 'agent_refused'));
    server.publish({ A: 1 });
    await until('it is there', () => follower.current('default')?.version === 1);
  });

  it('hands over only the newest of what was published meanwhile, and lets a waiting handler go', async () => {
    server.publish({ A: 1 });
    let given = 0;
    let release: () => void = () => undefined;
    const { follower, numbers, refused } = await follow({
      apply: ({ version }, { signal }) => {
        if (version === 2) {
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              given += 1;
              release = () => reject(signal.reason as Error);
            });
          });
        }
        return undefined;
      },
    });
    await follower.ready;
    server.publish({ A: 2 });
    await until('2 is being applied', () => server.requests.some(({ line }) => line.includes('since=2')));
    server.publish({ A: 3 });
    await until('it is asked to give up', () => given === 1);
    server.publish({ A: 4 });
    await until('4 was fetched', () => server.requests.some(({ line }) => line.includes('since=4')));
    release();
    await until('4 is in use', () => follower.current('default')?.version === 4);
    assert.deepEqual(numbers(), [1, 4]);
    assert.deepEqual(refused, [], 'giving up rejects nothing');
  });

  describe('when the server is away', () => {
    it('goes on, and catches up when it is back', async () => {
      server.publish({ A: 1 });
      const { follower, numbers } = await follow();
      await follower.ready;
      await server.goAway();
      await until('it knows', () => follower.status('default').failures >= 5);
      const { state, error, nextTryAt, version } = follower.status('default');
      assert.deepEqual([state, error?.code, version], ['away', 'server_unavailable', 1]);
      assert.ok(nextTryAt);
      server.publish({ A: 2 });
      await server.comeBack();
      await until('it has caught up', () => follower.current('default')?.version === 2);
      assert.deepEqual(numbers(), [1, 2]);
      assert.equal(follower.status('default').failures, 0);
    });

    it('waits as long as the server asks', async () => {
      server.publish({ A: 1 });
      const { follower } = await follow();
      await follower.ready;
      server.before = () => ({ status: 503, headers: { 'retry-after': '300' } });
      server.publish({ A: 2 });
      await until('it knows', () => follower.status('default').nextTryAt !== undefined);
      const { nextTryAt, failures } = follower.status('default');
      assert.equal(failures, 1);
      assert.ok(Number(nextTryAt) - Date.now() > 290_000);
    });

    it('starts from the local copy, then goes on from there', async () => {
      server.publish({ A: 1, PASS: { $secret: 'canary' } });
      await (await follow()).follower.ready;
      await server.goAway();
      const { follower, handed } = await restarted();
      await follower.ready;
      assert.deepEqual(handed[0]?.values, { A: 1, PASS: 'canary' });
      assert.deepEqual([handed[0]?.source, handed[0]?.secretKeys], ['copy', ['PASS']]);
      assert.equal(follower.status('default').state, 'away');
      server.publish({ A: 2 });
      await server.comeBack();
      await until('it has caught up', () => follower.current('default')?.version === 2);
      assert.deepEqual(handed[1]?.changedKeys, ['A', 'PASS']);
    });

    it('waits for it when there is no copy', async () => {
      server.publish({ A: 1 });
      const identity = await createAgentIdentity({
        url: server.origin,
        service: 'billing',
        stateDir,
        serviceToken: 'service',
      });
      await server.goAway();
      const { follower } = await follow();
      await until('it has tried', () => follower.status('default').failures >= 3);
      assert.equal(follower.status('default').state, 'away');
      await server.comeBack();
      await follower.ready;
      assert.ok(identity);
    });

    it('refuses a copy that was changed or put back, says why, and mends it when the server is there', async () => {
      server.publish({ A: 1 });
      const first = await follow();
      await first.follower.ready;
      await first.follower.close();
      const old = `${stateDir}-old`;
      await cp(stateDir, old, { recursive: true });
      server.publish({ A: 2 });
      const second = await restarted();
      await second.follower.ready;
      await second.follower.close();
      await server.goAway();

      await cp(join(old, 'copy.default'), join(stateDir, 'copy.default'));
      const third = await restarted();
      await until('it has tried', () => third.follower.status('default').failures >= 2);
      assert.match(third.follower.status('default').copyProblem ?? '', /version 1, older than the last seen serial 2/);
      assert.deepEqual(third.numbers(), []);
      await third.follower.close();

      await writeFile(join(stateDir, 'copy.default'), 'tampered');
      const fourth = await restarted();
      await until('it has tried', () => fourth.follower.status('default').failures >= 2);
      assert.match(fourth.follower.status('default').copyProblem ?? '', /was changed/);
      await server.comeBack();
      await fourth.follower.ready;
      assert.deepEqual([fourth.numbers(), fourth.handed[0]?.source], [[2], 'server']);
      await fourth.follower.close();
      await server.goAway();
      const fifth = await restarted();
      await fifth.follower.ready;
      assert.equal(fifth.handed[0]?.source, 'copy');
      assert.equal(fifth.follower.status('default').copyProblem, undefined);
    });
  });

  it('starts with the version that the server names while a rollout is under way, then takes the newest', async () => {
    server.publish({ A: 1 });
    server.publish({ A: 2 });
    server.before = (line) =>
      line.endsWith('/default/agent') ? { status: 200, body: { version: 2, start_version: 1 } } : undefined;
    const { follower, numbers } = await follow();
    await until('the newest is in use', () => follower.current('default')?.version === 2);
    assert.deepEqual(numbers(), [1, 2]);
    // What was seen since stands: an older one than that is not taken again.
    const second = await restarted();
    await second.follower.ready;
    assert.deepEqual(second.numbers(), [2]);
  });

  it('goes on in memory when the disk does not take the copy', async () => {
    server.publish({ A: 1 });
    const { follower } = await follow();
    await follower.ready;
    await rm(stateDir, { recursive: true });
    server.publish({ A: 2 });
    await until('it is in use', () => follower.current('default')?.version === 2);
    await until('it says so', () => follower.status('default').copyProblem !== undefined);
    assert.match(follower.status('default').copyProblem ?? '', /cannot be used/);
  });

  it('ends for good when the agent is revoked: the running version stays, the copy goes', async () => {
    server.publish({ A: 1 });
    server.publish({ B: 1 }, 'other');
    const { follower, identity } = await follow({ namespaces: ['default', 'other'] });
    await follower.ready;
    const agent = server.agents.get(identity.agentId);
    assert.ok(agent);
    agent.revoked = true;
    server.publish({ A: 2 });
    const reason = await follower.ended;
    assert.equal(reason?.code, 'agent_revoked');
    assert.equal(follower.status('default').state, 'ended');
    assert.equal(follower.status('other').state, 'ended');
    assert.equal(follower.current('default')?.version, 1);
    assert.deepEqual(
      (await readdir(stateDir)).filter((name) => !name.startsWith('identity')),
      [],
    );
  });

  it('ends without a trace when it is closed, whatever it is doing', async () => {
    server.publish({ A: 1 });
    const { follower } = await follow();
    await follower.ready;
    await follower.close();
    await follower.close();
    assert.equal(await follower.ended, undefined);
    assert.equal(follower.status('default').state, 'ended');
    const before = server.requests.length;
    server.publish({ A: 2 });
    const second = await follow({
      apply: (_version, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
    });
    await until('it is being applied', () => server.requests.length > before + 2);
    await second.follower.close();
    await assert.rejects(second.follower.ready, (error) => isGatehouseError(error, 'closed'));
    server.before = () => 'hang';
    const third = await follow();
    await third.follower.close();
  });

  it('refuses options that cannot work', async () => {
    await assert.rejects(follow({ namespaces: [] }), /at least one namespace/);
    await assert.rejects(follow({ namespaces: ['../../etc'] }), /not the name of a namespace/);
    await assert.rejects(follow({ waitSeconds: 0 }), /waitSeconds/);
    await assert.rejects(follow({ waitSeconds: 61 }), /waitSeconds/);
  });

  it('is not ended by what a listener throws', async () => {
    server.publish({ A: 1 });
    const { follower } = await follow({
      onStatus: () => {
        throw new Error('a bug in a listener');
      },
    });
    await follower.ready;
    server.publish({ A: 2 });
    await until('it goes on', () => follower.current('default')?.version === 2);
  });
});
