import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { generateKeyPair, importSigningKey, type PrivateJwk, type PublicJwk, signCompactJws } from '@gatehouse/crypto';
import type { LightMyRequestResponse } from 'fastify';
import type { App } from '../kernel/index.ts';
import { type AccountsFixture, createAccountsFixture } from './accounts-fixture.ts';

/** An agent as a test plays it: its keys, and what it sends. */
export interface TestAgent {
  readonly keys: AgentKeyPairs;
  readonly id: string;
  readonly service: string;
  /** A fresh assertion, with claims or another key in place of its own. */
  assertion(change?: { claims?: object; key?: PrivateJwk; typ?: string }): Promise<string>;
  /** An access token. */
  token(app?: App): Promise<string>;
}

/** Both pairs of an agent. */
export interface AgentKeyPairs {
  readonly sig: { publicJwk: PublicJwk; privateJwk: PrivateJwk };
  readonly enc: { publicJwk: PublicJwk; privateJwk: PrivateJwk };
}

/** Makes both pairs. */
export async function makeAgentKeys(): Promise<AgentKeyPairs> {
  const [sig, enc] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ECDH-ES+A256KW')]);
  return { sig, enc };
}

/** What an agent sends of its keys. */
export function jwksOf({ sig, enc }: AgentKeyPairs): { keys: PublicJwk[] } {
  return { keys: [sig.publicJwk, enc.publicJwk] };
}

/** A node with the services `billing` and `other` of `acme`, and agents. */
export interface AgentsFixture extends AccountsFixture {
  enrolmentToken(service?: string, body?: object): Promise<string>;
  serviceToken(service?: string, body?: object): Promise<{ id: string; token: string }>;
  /** `POST /v1/agents` as it is answered. */
  enrol(token: string, keys: AgentKeyPairs, name?: string): Promise<LightMyRequestResponse>;
  /** An enrolled agent. */
  agent(service?: string): Promise<TestAgent>;
  /** A request with a bearer token. */
  get(
    path: string,
    token: string,
    options?: { headers?: Record<string, string>; app?: App },
  ): Promise<LightMyRequestResponse>;
  publish(namespace: string, configuration: object, service?: string): Promise<number>;
}

/** Starts the fixture. */
export async function createAgentsFixture(): Promise<AgentsFixture> {
  const accounts = await createAccountsFixture();
  const { acme, app, settings, clock } = accounts;
  for (const name of ['billing', 'other']) {
    const made = await acme('POST', '/v1/services', { name });
    assert.equal(made.status, 201, made.raw.body);
  }
  const enrol: AgentsFixture['enrol'] = async (token, keys, name = 'host-1') =>
    app.inject({
      method: 'POST',
      url: '/v1/agents',
      headers: { authorization: `Bearer ${token}` },
      payload: { name, jwks: jwksOf(keys) },
    });
  const fixture: AgentsFixture = {
    ...accounts,
    async enrolmentToken(service = 'billing', body = {}) {
      const made = await acme('POST', `/v1/services/${service}/enrolment-tokens`, body);
      assert.equal(made.status, 201, made.raw.body);
      return made.body.enrolment_token;
    },
    async serviceToken(service = 'billing', body = {}) {
      const made = await acme('POST', `/v1/services/${service}/tokens`, body);
      assert.equal(made.status, 201, made.raw.body);
      return { id: made.body.id, token: made.body.authorization_token };
    },
    enrol,
    async agent(service = 'billing') {
      const keys = await makeAgentKeys();
      const answer = await enrol(await fixture.enrolmentToken(service), keys);
      assert.equal(answer.statusCode, 201, answer.body);
      return playAgent({ app, clock, issuer: settings.publicUrl, keys, id: answer.json().agent_id, service });
    },
    get: async (path, token, { headers = {}, app: on = app } = {}) =>
      on.inject({ method: 'GET', url: path, headers: { authorization: `Bearer ${token}`, ...headers } }),
    async publish(namespace, configuration, service = 'billing') {
      const path = `/v1/services/${service}/${namespace}`;
      const latest = await acme('GET', `${path}/latest`);
      if (latest.status === 404) {
        const made = await acme('POST', '/v1/services/namespaces', { service, namespace, configuration });
        assert.equal(made.status, 201, made.raw.body);
        return 1;
      }
      const made = await acme('POST', path, { parent_version: latest.body.version, configuration });
      assert.equal(made.status, 201, made.raw.body);
      return made.body.version;
    },
  };
  return fixture;
}

/** An agent that is enrolled, by its id and keys. */
export function playAgent(input: {
  app: App;
  clock: { now(): Date };
  issuer: string;
  keys: AgentKeyPairs;
  id: string;
  service: string;
}): TestAgent {
  const { app, clock, issuer, keys, id, service } = input;
  const assertion: TestAgent['assertion'] = async ({ claims = {}, key = keys.sig.privateJwk, typ } = {}) => {
    const iat = Math.floor(clock.now().getTime() / 1000);
    return signCompactJws({
      key: importSigningKey(key),
      payload: { iss: id, sub: id, aud: issuer, iat, exp: iat + 60, jti: randomUUID(), ...claims },
      typ: typ ?? 'gatehouse-agent-assertion+jwt',
    });
  };
  return {
    keys,
    id,
    service,
    assertion,
    async token(on = app) {
      const answer = await on.inject({
        method: 'POST',
        url: '/v1/agents/token',
        payload: { assertion: await assertion() },
      });
      assert.equal(answer.statusCode, 200, answer.body);
      return answer.json<{ access_token: string }>().access_token;
    },
  };
}
