import { Name, PageQuery, pageOf, strictObject } from '@gatehouse/contracts';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { type App, type Db, decodeCursor, pageFrom } from '../../../kernel/index.ts';
import type { Identity } from '../../identity/index.ts';
import type { AgentCaller } from './agent.ts';
import { type AgentService, type EnrolmentCredential, enrolmentRefused } from './agent-service.ts';
import { listAgents } from './agent-store.ts';
import { AgentBody, AgentJwks, AgentTokenBody, Assertion, agentToWire, EnrolledBody, Label } from './agent-wire.ts';
import { bearerToken, type Callers } from './callers.ts';
import { agentTokenSeconds } from './limits.ts';
import { enrolmentTokenPattern, serviceTokenPattern } from './token-service.ts';

const tags = ['agents'];

/** Agents: how they enrol, prove themselves and change keys, and how people see and revoke them. */
export function agentRoutes(deps: {
  db: Db;
  agents: AgentService;
  callers: Callers;
  services: Pick<Identity['services'], 'getService'>;
}) {
  const { db, agents, callers, services } = deps;
  const credentials = new WeakMap<FastifyRequest, EnrolmentCredential>();
  const agentCallers = new WeakMap<FastifyRequest, AgentCaller>();

  const credentialOf = async (authorization: string | undefined): Promise<EnrolmentCredential> => {
    const token = bearerToken(authorization) ?? '';
    if (enrolmentTokenPattern.test(token)) return { kind: 'enrolment-token', token };
    const found = serviceTokenPattern.test(token) ? await callers.findServiceToken(token) : undefined;
    if (!found?.mayEnrol) throw enrolmentRefused();
    return found;
  };

  return (app: App): void => {
    app.post(
      '/v1/agents',
      {
        // Before the body is read: who may not enrol is not told what is wrong with it.
        onRequest: async (request) => {
          credentials.set(request, await credentialOf(request.headers.authorization));
        },
        config: { auth: { credentials: 'an enrolment token, or a service token that may enrol' } },
        schema: {
          summary: 'Enrol an agent',
          description:
            'Authorization: Bearer <enrolment token> (good for one agent) or a service token that may enrol. Sent again with the same keys and the same token, it answers the same.',
          tags,
          operationId: 'enrolAgent',
          body: strictObject({ name: Label, jwks: AgentJwks }),
          response: { 201: EnrolledBody },
        },
      },
      async (request, reply) => {
        const { origin, body } = request;
        const credential = credentials.get(request) as EnrolmentCredential;
        const agent = await agents.enrolAgent({ credential, name: body.name, jwks: body.jwks, origin });
        const { id: agent_id, organization, service } = agent;
        return reply.code(201).send({ agent_id, organization, service });
      },
    );
    app.post(
      '/v1/agents/token',
      {
        config: { auth: { public: 'the agent proves itself by the assertion in the body' } },
        schema: {
          summary: 'An access token for an agent that proves itself',
          description:
            'The assertion is a JWT with typ gatehouse-agent-assertion+jwt, ES256 by the agent’s key; iss and sub the agent id, aud this server’s public URL, iat, exp within 300 s, and a jti that is good once.',
          tags,
          operationId: 'createAgentToken',
          body: strictObject({ assertion: Assertion }),
          response: { 200: AgentTokenBody },
        },
      },
      async (request, reply) => {
        const access_token = await agents.issueToken(request.body.assertion);
        reply.header('cache-control', 'no-store');
        return { access_token, token_type: 'Bearer' as const, expires_in: agentTokenSeconds };
      },
    );
    app.post(
      '/v1/agents/keys',
      {
        onRequest: async (request) => {
          agentCallers.set(request, await callers.authenticateAgent(request));
        },
        config: { auth: { credentials: 'the access token of an agent' } },
        schema: {
          summary: 'Put new keys in the place of an agent’s',
          description:
            'With the agent’s access token. `assertion` is signed by the new signature key; `present_assertion` by the present one, with the claim `keys`: the thumbprints of the new signature and encryption keys. Access tokens of the old key end at once.',
          tags,
          operationId: 'replaceAgentKeys',
          body: strictObject({ jwks: AgentJwks, assertion: Assertion, present_assertion: Assertion }),
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        const { origin, body } = request;
        await agents.replaceKeys({
          caller: agentCallers.get(request) as AgentCaller,
          jwks: body.jwks,
          assertion: body.assertion,
          presentAssertion: body.present_assertion,
          origin,
        });
        return reply.code(204).send(null);
      },
    );
    app.get(
      '/v1/services/:service/agents',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'List the agents of a service',
          tags,
          operationId: 'listAgents',
          params: strictObject({ service: Name }),
          querystring: strictObject({
            ...PageQuery.properties,
            revoked: Type.Optional(Type.Boolean({ description: 'revoked ones too' })),
          }),
          response: { 200: pageOf(AgentBody) },
        },
      },
      async (request) => {
        const { limit = 50, cursor, revoked = false } = request.query;
        const afterId = decodeCursor(cursor, 1)?.map(String)[0];
        const rows = await db.read(async (tx) => {
          const service = await services.getService(tx, request.principal.organization, request.params.service);
          return listAgents(tx, service.id, { afterId, revoked, limit: limit + 1 });
        });
        return pageFrom(rows, limit, (row) => [row.id], agentToWire);
      },
    );
    app.delete(
      '/v1/services/:service/agents/:agent',
      {
        config: { auth: { permission: 'configuration:publish' } },
        schema: {
          summary: 'Revoke an agent: no node serves it from now on',
          tags,
          operationId: 'revokeAgent',
          params: strictObject({ service: Name, agent: Type.String({ pattern: '^agt_[a-z0-9]{1,60}$' }) }),
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        const { service, agent } = request.params;
        await db.transaction(async (tx) =>
          agents.revokeAgent(tx, {
            service: await services.getService(tx, request.principal.organization, service),
            agentId: agent,
            origin: request.origin,
          }),
        );
        return reply.code(204).send(null);
      },
    );
  };
}
