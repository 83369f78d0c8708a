/** A server with a service, a namespace and agents, for the measurements of configuration. */
import { randomUUID } from 'node:crypto';
import { generateKeyPair, importSigningKey, signCompactJws } from '@gatehouse/crypto';
import { call, operator, type Running, signIn, startGatehouse } from './measure.ts';

export interface ConfigurationBench extends Running {
  /** Access tokens of enrolled agents. */
  readonly agentTokens: readonly string[];
  readonly serviceToken: string;
  /** `/v1/services/machine/<namespace>`. */
  path(namespace: string): string;
  /** Makes a namespace with this configuration as its version 1. */
  createNamespace(namespace: string, configuration: object): Promise<void>;
  /** Publishes on top of `parent`; the new version's number. */
  publish(namespace: string, parent: number, configuration: object): Promise<number>;
}

/** Starts it. */
export async function startConfigurationBench(options: { agents: number }): Promise<ConfigurationBench> {
  const gatehouse = await startGatehouse();
  try {
    const token = await signIn(gatehouse.url, operator);
    await call(`${gatehouse.url}/v1/organizations`, { token, body: { name: 'bench' } });
    const organization = 'bench';
    const url = `${gatehouse.url}/v1/services`;
    await call(url, { token, organization, body: { name: 'machine' } });
    const made = await call<{ authorization_token: string }>(`${url}/machine/tokens`, {
      token,
      organization,
      body: {},
    });
    const agentTokens: string[] = [];
    for (let index = 0; index < options.agents; index += 1) {
      agentTokens.push(await enrol(gatehouse.url, made.authorization_token, `agent-${index}`));
    }
    // Sign-ins last ten minutes, measurements longer.
    let session = { token, at: performance.now() };
    const fresh = async () => {
      if (performance.now() - session.at > 300_000) {
        session = { token: await signIn(gatehouse.url, operator), at: performance.now() };
      }
      return session.token;
    };
    return {
      ...gatehouse,
      agentTokens,
      serviceToken: made.authorization_token,
      path: (namespace) => `/v1/services/machine/${namespace}`,
      async createNamespace(namespace, configuration) {
        const body = { service: 'machine', namespace, configuration };
        await call(`${url}/namespaces`, { token: await fresh(), organization, body });
      },
      async publish(namespace, parent, configuration) {
        const body = { parent_version: parent, configuration };
        const answer = await call<{ version: number }>(`${url}/machine/${namespace}`, {
          token: await fresh(),
          organization,
          body,
        });
        return answer.version;
      },
    };
  } catch (error) {
    await gatehouse.stop();
    throw error;
  }
}

async function enrol(url: string, serviceToken: string, name: string): Promise<string> {
  const [sig, enc] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ECDH-ES+A256KW')]);
  const { agent_id: id } = await call<{ agent_id: string }>(`${url}/v1/agents`, {
    token: serviceToken,
    body: { name, jwks: { keys: [sig.publicJwk, enc.publicJwk] } },
  });
  const iat = Math.floor(Date.now() / 1000);
  const assertion = await signCompactJws({
    key: importSigningKey(sig.privateJwk),
    payload: { iss: id, sub: id, aud: url, iat, exp: iat + 60, jti: randomUUID() },
    typ: 'gatehouse-agent-assertion+jwt',
  });
  return (await call<{ access_token: string }>(`${url}/v1/agents/token`, { body: { assertion } })).access_token;
}
