/** What an agent asks of the server about itself: enrolment, tokens, new keys. */
import type { PublicJwk } from '@gatehouse/crypto';
import { GatehouseError } from '../errors.ts';
import {
  type ExchangeBounds,
  failureOf,
  type HttpAnswer,
  type HttpOptions,
  issuerUrl,
  parseObject,
  request,
} from '../http/request.ts';

/** The server's name for an agent, and whose configuration it may read. */
export interface Enrolled {
  readonly agentId: string;
  readonly organization: string;
  readonly service: string;
}

/** The routes of agents about themselves. Reject with `server_unavailable`, `agent_revoked` or `agent_refused`. */
export interface AgentRequests {
  enrol(token: string, agent: { readonly name: string; readonly jwks: { keys: PublicJwk[] } }): Promise<Enrolled>;
  token(assertion: string): Promise<{ readonly accessToken: string; readonly expiresInSeconds: number }>;
  /** Puts new keys in the place of the present ones. The new ones sign that they are there, the present ones for whom. */
  replaceKeys(
    accessToken: string,
    keys: { jwks: { keys: PublicJwk[] }; assertion: string; presentAssertion: string },
  ): Promise<void>;
}

/** Makes them for one server. */
export function createAgentRequests(url: string, http: HttpOptions): AgentRequests {
  async function post(path: string, body: object, token?: string): Promise<HttpAnswer> {
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    return request(issuerUrl(url, path, http), { method: 'POST', headers, body: JSON.stringify(body) }, http);
  }
  return {
    async enrol(token, agent) {
      const answer = await post('/v1/agents', agent, token);
      if (answer.status !== 201) throw agentFailureOf(answer, 'Enrolment');
      const { agent_id: agentId, organization, service } = parseObject(answer, 'Enrolment');
      if (typeof agentId !== 'string' || typeof organization !== 'string' || typeof service !== 'string') {
        throw new GatehouseError('answer_invalid', 'Enrolment: the answer lacks agent_id, organization or service.');
      }
      return { agentId, organization, service };
    },
    async token(assertion) {
      const answer = await post('/v1/agents/token', { assertion });
      if (answer.status !== 200) throw agentFailureOf(answer, 'Token of the agent');
      const { access_token: accessToken, expires_in: expiresIn } = parseObject(answer, 'Token of the agent');
      if (typeof accessToken !== 'string' || typeof expiresIn !== 'number') {
        throw new GatehouseError('answer_invalid', 'Token of the agent: the answer lacks access_token or expires_in.');
      }
      return { accessToken, expiresInSeconds: expiresIn };
    },
    async replaceKeys(accessToken, { jwks, assertion, presentAssertion }) {
      const body = { jwks, assertion, present_assertion: presentAssertion };
      const answer = await post('/v1/agents/keys', body, accessToken);
      if (answer.status < 200 || answer.status > 299) throw agentFailureOf(answer, 'New keys of the agent');
    },
  };
}

/**
 * A request of an agent with its token. One that is refused because of the token is made once more with a fresh one:
 * tokens end, and the server may have been told to accept them no longer.
 */
export async function requestAsAgent(
  identity: { url: string; accessToken(): Promise<string>; dropAccessToken(): void },
  path: string,
  init: { method?: string; headers?: Record<string, string>; body?: string; query?: Record<string, string> },
  http: HttpOptions & ExchangeBounds,
): Promise<HttpAnswer> {
  const { query, ...rest } = init;
  const search = new URLSearchParams(query).toString();
  const url = `${issuerUrl(identity.url, path, http)}${search === '' ? '' : `?${search}`}`;
  for (let attempt = 1; ; attempt += 1) {
    const headers = {
      accept: 'application/json',
      ...init.headers,
      authorization: `Bearer ${await identity.accessToken()}`,
    };
    const answer = await request(url, { ...rest, headers }, http, http);
    if (answer.status !== 401 || attempt > 1) return answer;
    identity.dropAccessToken();
  }
}

/** As `failureOf`; that the agent was revoked is final and has a code of its own. */
export function agentFailureOf(answer: HttpAnswer, what: string): GatehouseError {
  const failure = failureOf(answer, 'agent_refused', what);
  if (failure.serverCode !== 'configuration.agent_revoked') return failure;
  return new GatehouseError(
    'agent_revoked',
    `${what}: this agent was revoked. To use this host again, enrol it with a new enrolment token.`,
    { status: answer.status, serverCode: failure.serverCode },
  );
}
