import assert from 'node:assert/strict';
import { generateKeyPair, importSigningKey, signCompactJws } from '@gatehouse/crypto';
import type { App } from '../../../kernel/index.ts';
import { type AccountsFixture, type Answer, createAccountsFixture } from '../../../testing/accounts-fixture.ts';

/** A node of the cluster: where a request goes. */
export interface Node {
  readonly app: App;
}

/** An enrolled agent that says and asks what a test lets it. */
export interface TestAgent {
  readonly id: string;
  readonly name: string;
  call(method: 'GET' | 'POST', url: string, payload?: object, node?: Node): Promise<Answer>;
  /** Reports in `default`; fails the test when it is not taken. */
  report(version: number, state: string, reason?: string, node?: Node): Promise<void>;
  /** Asks for a slot in `default`. */
  slot(version: number, wait?: number, node?: Node): Promise<Slot>;
  /** Asks for a slot, starts with the version and says that it is well. */
  take(version: number, node?: Node): Promise<void>;
}

/** The answer to a request for a slot. */
export interface Slot {
  readonly granted: boolean;
  readonly expires_at?: string;
  readonly reason?: string;
  readonly retry_after?: number;
  readonly latest_version?: number;
}

/** The service `billing` of `acme` with the namespace `default` at version 1, and agents. */
export interface FleetFixture extends AccountsFixture {
  /** As the operator on behalf of `acme`, with a token that is renewed as the clock moves. */
  admin(method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, payload?: object, node?: Node): Promise<Answer>;
  /** Publishes and answers the version's number. */
  publish(configuration: object, node?: Node): Promise<number>;
  /** Enrols an agent of a service. */
  agent(name: string, service?: string): Promise<TestAgent>;
  /** Enrols agents that run version 1 and are healthy. */
  fleet(names: readonly string[]): Promise<TestAgent[]>;
  rollout(version: number): Promise<Answer['body']>;
  instances(): Promise<Answer['body'][]>;
  setPolicy(policy: object): Promise<void>;
  /** Moves the clock and lets the nodes look, as they do every minute. */
  pass(seconds: number): Promise<void>;
}

const base = '/v1/services/billing/default';

/** Starts the fixture. */
export async function createFleetFixture(): Promise<FleetFixture> {
  const fixture = await createAccountsFixture();
  const { clock } = fixture;
  let token = fixture.operator;
  let renewAt = clock.now().getTime() + 300_000;
  const admin: FleetFixture['admin'] = async (method, url, payload, node = fixture) => {
    if (clock.now().getTime() > renewAt) {
      token = await fixture.operatorToken();
      renewAt = clock.now().getTime() + 300_000;
    }
    const options = { token, organization: 'acme', payload };
    return fixture.call(method, url, { ...options, node: node as AccountsFixture });
  };
  const expect = async (status: number, answer: Promise<Answer>): Promise<Answer['body']> => {
    const { status: actual, body, raw } = await answer;
    assert.equal(
      actual,
      status,
      `${raw.body} ${actual === 500 ? fixture.logLines.filter((line) => line.includes('"err"')).join('') : ''}`,
    );
    return body;
  };
  await expect(201, admin('POST', '/v1/services', { name: 'billing' }));
  await expect(
    201,
    admin('POST', '/v1/services/namespaces', {
      service: 'billing',
      namespace: 'default',
      configuration: { VALUE: 'one' },
    }),
  );

  const agent: FleetFixture['agent'] = async (name, service = 'billing') => {
    const [signature, encryption] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ECDH-ES+A256KW')]);
    const { enrolment_token } = await expect(201, admin('POST', `/v1/services/${service}/enrolment-tokens`, {}));
    const jwks = { keys: [signature.publicJwk, encryption.publicJwk] };
    const enrolled = await expect(
      201,
      fixture.call('POST', '/v1/agents', { token: enrolment_token, payload: { name, jwks } }),
    );
    const id: string = enrolled.agent_id;
    const key = importSigningKey(signature.privateJwk);
    let assertions = 0;
    let access = { token: '', until: 0 };
    const accessToken = async (): Promise<string> => {
      const now = Math.floor(clock.now().getTime() / 1000);
      if (now < access.until) return access.token;
      assertions += 1;
      const payload = {
        iss: id,
        sub: id,
        aud: fixture.settings.publicUrl,
        iat: now,
        exp: now + 60,
        jti: `${id} ${assertions}`,
      };
      const assertion = await signCompactJws({ key, payload, typ: 'gatehouse-agent-assertion+jwt' });
      const body = await expect(200, fixture.call('POST', '/v1/agents/token', { payload: { assertion } }));
      access = { token: body.access_token, until: now + 600 };
      return access.token;
    };
    const call: TestAgent['call'] = async (method, url, payload, node = fixture) =>
      fixture.call(method, url, { token: await accessToken(), payload, node: node as AccountsFixture });
    const report: TestAgent['report'] = async (version, state, reason, node) => {
      await expect(200, call('POST', `${base}/instance`, { version, state, ...(reason ? { reason } : {}) }, node));
    };
    const slot: TestAgent['slot'] = (version, wait = 0, node = fixture) =>
      expect(200, call('POST', `${base}/slot`, { version, wait }, node));
    return {
      id,
      name,
      call,
      report,
      slot,
      async take(version, node) {
        const answer = await slot(version, 0, node);
        assert.ok(answer.granted, `${name} got no slot: ${JSON.stringify(answer)}`);
        await report(version, 'applied', undefined, node);
        await report(version, 'healthy', undefined, node);
      },
    };
  };

  return {
    ...fixture,
    admin,
    agent,
    async publish(configuration, node) {
      const { version } = await expect(200, admin('GET', `${base}/latest`));
      const body = { parent_version: version, configuration };
      return (await expect(201, admin('POST', base, body, node))).version;
    },
    async fleet(names) {
      const agents = [];
      for (const name of names) agents.push(await agent(name));
      for (const one of agents) await one.report(1, 'healthy');
      return agents;
    },
    rollout: (version) => expect(200, admin('GET', `${base}/rollouts/${version}`)),
    instances: async () => (await expect(200, admin('GET', '/v1/services/billing/instances'))).items,
    async setPolicy(policy) {
      await expect(200, admin('PUT', '/v1/services/billing/rollout-policy', policy));
    },
    async pass(seconds) {
      for (let left = seconds; left > 0; left -= 60) {
        clock.advance(Math.min(left, 60));
        await fixture.modules.configuration.rollouts.tick();
      }
    },
  };
}
