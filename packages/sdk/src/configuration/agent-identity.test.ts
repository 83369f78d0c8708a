import assert from 'node:assert/strict';
import { chmod, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { encryptCompactJwe, publicJwkOf } from '@gatehouse/crypto';
import { createFakeClock } from '@gatehouse/testkit';
import { type GatehouseErrorCode, isGatehouseError } from '../errors.ts';
import { type StandInServer, startStandInServer } from '../testing/stand-in-server.ts';
import { type AgentIdentityOptions, createAgentIdentity } from './agent-identity.ts';
import type { AgentState } from './agent-state.ts';

describe('the identity of an agent', () => {
  let server: StandInServer;
  let root: string;
  let stateDir: string;
  let count = 0;
  const clock = createFakeClock(new Date('2026-01-01T00:00:00.000Z'));
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'gatehouse-identity-'));
  });
  after(() => rm(root, { recursive: true }));
  beforeEach(async () => {
    server = await startStandInServer();
    stateDir = join(root, `agent-${(count += 1)}`);
  });
  afterEach(() => server.close());

  const identity = (more: Partial<AgentIdentityOptions> = {}) =>
    createAgentIdentity({ url: server.origin, service: 'acme.billing', stateDir, name: 'host-1', clock, ...more });
  const enrolled = () => identity({ enrolmentToken: 'once-1' });
  const fails = (code: GatehouseErrorCode, text: RegExp) => (error: unknown) => {
    assert.ok(isGatehouseError(error, code), String(error));
    assert.match(error.message, text);
    assert.doesNotMatch(error.message, /once-1|bad-token/);
    return true;
  };
  const lines = () => server.requests.map(({ line }) => line);
  async function stateOnDisk(): Promise<AgentState> {
    const [name, ...more] = (await readdir(stateDir)).filter((file) => file.startsWith('identity.'));
    assert.ok(name !== undefined && more.length === 0, 'one identity');
    return JSON.parse(await readFile(join(stateDir, name), 'utf8')) as AgentState;
  }

  it('enrols once, and starts from its folder without the server', async () => {
    const first = await enrolled();
    assert.deepEqual([first.agentId, first.organization, first.service], ['agt_1', 'acme', 'billing']);
    const { jwks, name } = (server.requests[0]?.body ?? {}) as unknown as {
      jwks: { keys: Record<string, string>[] };
      name: string;
    };
    assert.equal(name, 'host-1');
    assert.deepEqual(
      jwks.keys.map(({ use, alg, crv, d }) => [use, alg, crv, d]),
      [
        ['sig', 'ES256', 'P-256', undefined],
        ['enc', 'ECDH-ES+A256KW', 'P-256', undefined],
      ],
    );
    const token = await first.accessToken();
    assert.equal(await first.accessToken(), token);
    assert.deepEqual(lines(), ['POST /v1/agents', 'POST /v1/agents/token']);
    clock.advance(841_000);
    assert.notEqual(await first.accessToken(), token, 'a new one a minute before its end');

    await server.goAway();
    const again = await identity();
    assert.equal(again.agentId, 'agt_1');
    await assert.rejects(again.accessToken(), fails('server_unavailable', /./));
    await server.comeBack();
    assert.ok(await again.accessToken());
  });

  it('opens what is sealed to it, and nothing else', async () => {
    const agent = await enrolled();
    const jwk = server.agents.get('agt_1')?.enc;
    assert.ok(jwk);
    assert.equal(Buffer.from(await agent.open(encryptCompactJwe({ jwk, plaintext: 'hello' }))).toString(), 'hello');
    const { keys } = await (async () => {
      await identity({ stateDir: `${stateDir}-other`, serviceToken: 'service' });
      return JSON.parse(await readFile(join(`${stateDir}-other`, 'identity.2.json'), 'utf8')) as AgentState;
    })();
    const foreign = encryptCompactJwe({ jwk: publicJwkOf(keys.enc), plaintext: 'hello' });
    await assert.rejects(agent.open(foreign), fails('sealed_cannot_open', /./));
    await assert.rejects(agent.open('a.b.c.d.e'), fails('sealed_cannot_open', /./));
  });

  it('says what is missing or wrong', async () => {
    await assert.rejects(identity(), fails('agent_not_enrolled', /enrolmentToken or the serviceToken/));
    await assert.rejects(identity({ enrolmentToken: 'bad-token' }), fails('agent_refused', /401/));
    await assert.rejects(
      identity({ enrolmentToken: 'a', serviceToken: 'b' }),
      fails('configuration_invalid', /not both/),
    );
    await assert.rejects(identity({ enrolmentToken: 'a b' }), fails('configuration_invalid', /enrolmentToken/));
    await assert.rejects(identity({ service: 'Acme!' }), fails('configuration_invalid', /<organization>.<service>/));
    await assert.rejects(identity({ url: 'http://id.example.com' }), fails('configuration_invalid', /https/));
    await assert.rejects(identity({ stateDir: '' }), fails('configuration_invalid', /stateDir/));
    await assert.rejects(
      identity({ service: 'acme.shop', enrolmentToken: 'once-2' }),
      fails('agent_state_invalid', /belongs to acme.billing, not to acme.shop/),
    );
  });

  it('stays with its issuer and service, and with its owner', async () => {
    await enrolled();
    await assert.rejects(identity({ issuer: 'https://other.example.com' }), fails('agent_state_invalid', /belongs to/));
    await assert.rejects(identity({ service: 'evil.billing' }), fails('agent_state_invalid', /acme.billing/));
    assert.equal((await identity({ service: 'billing' })).agentId, 'agt_1');
    await chmod(join(stateDir, 'identity.2.json'), 0o644);
    await assert.rejects(identity(), fails('agent_state_invalid', /chmod 600/));
    await chmod(join(stateDir, 'identity.2.json'), 0o600);
    await chmod(stateDir, 0o755);
    await assert.rejects(identity(), fails('agent_state_invalid', /chmod 700/));
    await chmod(stateDir, 0o700);
    await writeFile(join(stateDir, 'identity.2.json'), '{"format":1}');
    await assert.rejects(enrolled(), fails('agent_state_invalid', /incomplete.*Restore it/s));
    assert.equal(server.agents.size, 1, 'a broken identity is never replaced by a new one');
  });

  it('goes on after an answer to the enrolment was lost', async () => {
    server.after = (line) => (line === 'POST /v1/agents' ? { status: 502 } : undefined);
    await assert.rejects(enrolled(), fails('server_unavailable', /502/));
    const { keys } = await stateOnDisk();
    server.after = undefined;
    assert.equal((await enrolled()).agentId, 'agt_1');
    assert.deepEqual((await stateOnDisk()).keys, keys, 'the keys the server knows');
    assert.equal(server.agents.size, 1);
  });

  it('waits for the server when it may', async () => {
    let refusals = 3;
    server.before = () => (refusals-- > 0 ? { status: 503 } : undefined);
    const agent = await identity({ enrolmentToken: 'once-1', enrolSeconds: 60, backOff: { baseSeconds: 0.01 } });
    assert.equal(agent.agentId, 'agt_1');
  });

  it('is one agent, whoever starts first in a folder', async () => {
    const all = await Promise.all([1, 2, 3].map(() => identity({ enrolmentToken: 'once-1' })));
    assert.deepEqual([...new Set(all.map((agent) => agent.agentId))], ['agt_1']);
    await stateOnDisk();
  });

  describe('rotates its keys', () => {
    it('and nothing of the old ones is left', async () => {
      const agent = await enrolled();
      await agent.copies.saw('default', { version: 4, hash: 'h' });
      const before = await stateOnDisk();
      const oldEnc = server.agents.get('agt_1')?.enc;
      clock.advance(1000);
      await agent.rotateKeys();
      const after = await stateOnDisk();
      assert.notEqual(after.keys.sig.kid, before.keys.sig.kid);
      assert.deepEqual([after.next, after.previous], [undefined, undefined]);
      assert.equal(server.agents.get('agt_1')?.sig.kid, after.keys.sig.kid);
      assert.ok(await agent.accessToken());
      assert.equal((await agent.copies.load('default')).seen?.version, 4);
      assert.equal((await (await identity()).copies.load('default')).seen?.version, 4);
      // An answer that was sealed before the rotation still opens in this process.
      assert.ok(oldEnc);
      assert.ok(await agent.open(encryptCompactJwe({ jwk: oldEnc, plaintext: 'late' })));
    });

    it('when they are due', async () => {
      const agent = await enrolled();
      assert.equal(await agent.rotateKeysIfDue(), false);
      clock.advance(30 * 86_400_000);
      assert.equal(await agent.rotateKeysIfDue(), true);
      assert.equal(agent.keysCreatedAt.getTime(), clock.now().getTime());
      assert.equal(await agent.rotateKeysIfDue(), false);
    });

    it('and works again after a crash at any point', async () => {
      // Every state of the folder that the disk saw on the way, and what the server knew then.
      const moments: { folder: string; agent: string }[] = [];
      const agent = await enrolled();
      await agent.copies.saw('default', { version: 4, hash: 'h' });
      const remember = async () => {
        const folder = join(root, `moment-${(count += 1)}`);
        const known = JSON.stringify(server.agents.get('agt_1'));
        await cp(stateDir, folder, { recursive: true });
        // What the server learned while the folder was copied belongs to a later moment.
        if (known === JSON.stringify(server.agents.get('agt_1'))) moments.push({ folder, agent: known });
      };
      const progress = { isBusy: true };
      const rotating = agent.rotateKeys().finally(() => {
        progress.isBusy = false;
      });
      while (progress.isBusy) {
        // A file may vanish under the copying: that moment is tried again.
        await remember().catch(() => undefined);
      }
      await rotating;
      await remember();
      const kinds = new Set<string>();
      for (const { folder, agent: known } of moments) {
        kinds.add((await readdir(folder)).sort().join());
        server.agents.set('agt_1', JSON.parse(known) as never);
        const restarted = await identity({ stateDir: folder });
        assert.ok(await restarted.accessToken(), folder);
        assert.equal((await restarted.copies.load('default')).seen?.version, 4);
        const state = await readdir(folder);
        assert.equal(state.filter((name) => name.startsWith('identity.')).length, 1, state.join());
      }
      assert.ok(kinds.size > 1, 'several states of the folder were seen');
    });

    for (const [when, isDone] of [
      ['before the server heard of the new ones', false],
      ['after the server took them', true],
    ] as const) {
      it(`and goes on when the connection broke ${when}`, async () => {
        const agent = await enrolled();
        const lost = (line: string) => (line === 'POST /v1/agents/keys' ? { status: 502 } : undefined);
        if (isDone) server.after = lost;
        else server.before = lost;
        await assert.rejects(agent.rotateKeys(), fails('server_unavailable', /502/));
        const { next } = await stateOnDisk();
        assert.ok(next, 'the new keys are on disk before the server hears of them');
        // The same process, and one that starts now.
        const copy = `${stateDir}-copy`;
        await cp(stateDir, copy, { recursive: true });
        const known = JSON.stringify(server.agents.get('agt_1'));
        server.before = undefined;
        server.after = undefined;
        agent.dropAccessToken();
        assert.ok(await agent.accessToken());
        assert.equal((await stateOnDisk()).keys.sig.kid, next.sig.kid);
        server.agents.set('agt_1', JSON.parse(known) as never);
        const restarted = await identity({ stateDir: copy });
        assert.ok(await restarted.accessToken());
        assert.equal(server.agents.get('agt_1')?.sig.kid, next.sig.kid);
      });
    }

    it('and keeps the present ones when the server refuses the new ones', async () => {
      const agent = await enrolled();
      const { keys } = await stateOnDisk();
      server.before = (line) => (line === 'POST /v1/agents/keys' ? { status: 409, body: { code: 'x' } } : undefined);
      await assert.rejects(agent.rotateKeys(), fails('agent_refused', /409/));
      agent.dropAccessToken();
      assert.ok(await agent.accessToken());
      assert.deepEqual((await stateOnDisk()).keys, keys);
      assert.equal((await stateOnDisk()).next, undefined);
      server.before = undefined;
      await agent.rotateKeys();
      assert.notDeepEqual((await stateOnDisk()).keys, keys);
    });

    it('which another process with the folder notices', async () => {
      const agent = await enrolled();
      const other = await identity();
      await other.rotateKeys();
      // Sealed by keys that are gone from the disk already.
      await agent.copies.saw('default', { version: 4, hash: 'h' });
      assert.ok(await agent.accessToken());
      assert.equal((await agent.copies.load('default')).seen?.version, 4);
      assert.equal((await (await identity()).copies.load('default')).seen?.version, 4);
    });
  });

  it('ends for good when it is revoked, and leaves nothing to start from', async () => {
    const agent = await enrolled();
    await agent.copies.saw('default', { version: 4, hash: 'h' });
    const revoked = server.agents.get('agt_1');
    assert.ok(revoked);
    revoked.revoked = true;
    agent.dropAccessToken();
    await assert.rejects(agent.accessToken(), fails('agent_revoked', /revoked/));
    assert.deepEqual(
      (await readdir(stateDir)).filter((name) => !name.startsWith('identity.')),
      [],
    );
    await assert.rejects(identity(), fails('agent_revoked', /remove .* new enrolment token/));
    // A token that lies around does not undo it.
    await assert.rejects(identity({ serviceToken: 'service' }), fails('agent_revoked', /./));
    assert.equal(server.agents.size, 1);
  });
});
