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
  /** The header of its requests. */
  authorization(): Promise<{ authorization: string }>;
  call(method: 'GET' | 'POST', url: string, payload?: object, node?: Node): Promise<Answer>;
  /** Reports; fails the test when it is not taken. */
  report(version: number, state: string, reason?: string, node?: Node): Promise<void>;
  /** Asks for a slot. */
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

/** A service of `acme` with the namespace `default`, and its agents. */
export interface Fleet {
  readonly service: string;
  /** `/v1/services/<service>/default`. */
  readonly base: string;
  readonly agents: readonly TestAgent[];
  /** Enrols another agent. */
  join(name: string): Promise<TestAgent>;
  /** Publishes and answers the version's number. */
  publish(value: string, node?: Node): Promise<number>;
  rollout(version: number): Promise<Answer['body']>;
  instances(): Promise<Answer['body'][]>;
  setPolicy(policy: object): Promise<void>;
  /** The id of the namespace. */
  namespaceId(): Promise<string>;
}

/** A node with `acme`, and as many fleets as a test file needs. */
export interface FleetFixture extends AccountsFixture {
  /** As the operator on behalf of `acme`, with a token that is renewed as the clock moves. */
  admin(method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, payload?: object, node?: Node): Promise<Answer>;
  /** A new service whose agents run version 1 (VALUE "one") and are healthy. */
  fleet(service: string, names: readonly string[], policy?: object): Promise<Fleet>;
  /** Moves the clock and lets the nodes look, as they do every minute. */
  pass(seconds: number): Promise<void>;
}

/** Starts the fixture. */
export async function createFleetFixture(
  options: Parameters<typeof createAccountsFixture>[0] = {},
): Promise<FleetFixture> {
  const fixture = await createAccountsFixture(options);
  const { clock } = fixture;
  let token = fixture.operator;
  let renewAt = clock.now().getTime() + 300_000;
  const admin: FleetFixture['admin'] = async (method, url, payload, node = fixture) => {
    if (clock.now().getTime() > renewAt) {
      token = await fixture.operatorToken();
      renewAt = clock.now().getTime() + 300_000;
    }
    const options = { token, organization: 'acme', payload };
    return fixture.call(method, url, { ...options, node });
  };
  return {
    ...fixture,
    admin,
    async fleet(service, names, policy) {
      const base = `/v1/services/${service}/default`;
      await expect(201, admin('POST', '/v1/services', { name: service }));
      const namespace = { service, namespace: 'default', configuration: { VALUE: 'one' } };
      await expect(201, admin('POST', '/v1/services/namespaces', namespace));
      const join = async (name: string) => {
        const path = `/v1/services/${service}/enrolment-tokens`;
        const { enrolment_token } = await expect(201, admin('POST', path, {}));
        return enrol(fixture, { name, base, enrolmentToken: enrolment_token });
      };
      const setPolicy: Fleet['setPolicy'] = async (changed) => {
        await expect(200, admin('PUT', `/v1/services/${service}/rollout-policy`, changed));
      };
      const agents: TestAgent[] = [];
      for (const name of names) {
        const agent = await join(name);
        await agent.report(1, 'healthy');
        agents.push(agent);
      }
      if (policy) await setPolicy(policy);
      return {
        service,
        base,
        agents,
        join,
        setPolicy,
        async publish(value, node) {
          const { version } = await expect(200, admin('GET', `${base}/latest`));
          const body = { parent_version: version, configuration: { VALUE: value } };
          return (await expect(201, admin('POST', base, body, node))).version;
        },
        rollout: (version) => expect(200, admin('GET', `${base}/rollouts/${version}`)),
        instances: async () => (await expect(200, admin('GET', `/v1/services/${service}/instances`))).items,
        async namespaceId() {
          const { rows } = await fixture.db.pool.query<{ id: string }>(
            `select id from configuration.namespaces where service = $1 and name = 'default'`,
            [service],
          );
          return rows[0]?.id ?? '';
        },
      };
    },
    async pass(seconds) {
      for (let left = seconds; left > 0; left -= 60) {
        clock.advance(Math.min(left, 60));
        await fixture.modules.configuration.rollouts.tick();
      }
    },
  };
}

/** Enrols an agent with keys of its own. */
async function enrol(
  fixture: AccountsFixture,
  { name, base, enrolmentToken }: { name: string; base: string; enrolmentToken: string },
): Promise<TestAgent> {
  const { clock } = fixture;
  const [signature, encryption] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ECDH-ES+A256KW')]);
  const payload = { name, jwks: { keys: [signature.publicJwk, encryption.publicJwk] } };
  const enrolled = await expect(201, fixture.call('POST', '/v1/agents', { token: enrolmentToken, payload }));
  const id: string = enrolled.agent_id;
  const key = importSigningKey(signature.privateJwk);
  let access = { token: '', until: 0 };
  let assertions = 0;
  const accessToken = async (): Promise<string> => {
    const now = Math.floor(clock.now().getTime() / 1000);
    if (now < access.until) return access.token;
    assertions += 1;
    const claims = { iss: id, sub: id, aud: fixture.settings.publicUrl, iat: now, exp: now + 60 };
    const assertion = await signCompactJws({
      key,
      payload: { ...claims, jti: `${id} ${assertions}` },
      typ: 'gatehouse-agent-assertion+jwt',
    });
    const body = await expect(200, fixture.call('POST', '/v1/agents/token', { payload: { assertion } }));
    access = { token: body.access_token, until: now + 600 };
    return access.token;
  };
  const call: TestAgent['call'] = async (method, url, body, node = fixture) =>
    fixture.call(method, url, { token: await accessToken(), payload: body, node });
  const report: TestAgent['report'] = async (version, state, reason, node) => {
    await expect(200, call('POST', `${base}/instance`, { version, state, ...(reason ? { reason } : {}) }, node));
  };
  const slot: TestAgent['slot'] = (version, wait = 0, node = fixture) =>
    expect(200, call('POST', `${base}/slot`, { version, wait }, node));
  return {
    id,
    name,
    authorization: async () => ({ authorization: `Bearer ${await accessToken()}` }),
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
}

/** The body of an answer that has to have this status. */
export async function expect(status: number, answer: Promise<Answer>): Promise<Answer['body']> {
  const { status: actual, body, raw } = await answer;
  assert.equal(actual, status, raw.body);
  return body;
}
