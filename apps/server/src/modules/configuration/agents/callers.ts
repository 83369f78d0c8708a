import type { FastifyRequest } from 'fastify';
import { createSharedRead, type Db, type Reader, unauthenticated } from '../../../kernel/index.ts';
import type { AgentCaller, Caller } from './agent.ts';
import { serviceSuspended } from './agent-service.ts';
import { listLivingAgents } from './agent-store.ts';
import type { AgentTokens } from './agent-token.ts';
import { serviceTokenPattern, tokenHash } from './token-service.ts';
import { findServiceTokens, listLivingServiceTokens } from './token-store.ts';

/**
 * Tells who asks for configuration: an agent by its access token, or whoever holds a service token (as it is, or as
 * Bearer). Each use asks the database, in statements that parallel requests share: a revoked agent, a deleted token and a
 * suspended service are refused on every node from the commit on.
 */
export function createCallers(deps: {
  db: Db;
  tokens: Pick<AgentTokens, 'verify'>;
  /** Those of these services that are active, in active organizations. */
  listActiveServices: (tx: Reader, ids: readonly string[]) => Promise<ReadonlySet<string>>;
}) {
  const { db, tokens } = deps;
  const livingAgent = createSharedRead(db, (id: string) => id, listLivingAgents);
  const serviceToken = createSharedRead(db, (hash: string) => hash, findServiceTokens);
  const livingToken = createSharedRead(db, (id: string) => id, listLivingServiceTokens);
  const activeService = createSharedRead(
    db,
    (id: string) => id,
    async (tx, ids) => new Map([...(await deps.listActiveServices(tx, ids))].map((id) => [id, true] as const)),
  );

  const isServiceActive = async (serviceId: string): Promise<boolean> => (await activeService(serviceId)) === true;

  const findServiceToken = async (token: string): Promise<Extract<Caller, { kind: 'service-token' }> | undefined> => {
    const found = await serviceToken(tokenHash(token).toString('hex'));
    if (!found) return undefined;
    const { id, mayEnrol, serviceId, organization, service } = found;
    return { kind: 'service-token', tokenId: id, mayEnrol, serviceId, organization, service };
  };

  const findAgentCaller = async (token: string): Promise<AgentCaller | undefined> => {
    const claims = await tokens.verify(token);
    if (!claims) return undefined;
    const agent = await livingAgent(claims.sub);
    if (!agent || agent.signatureKid !== claims.key) return undefined;
    const { id: agentId, serviceId, encryptionKid } = agent;
    return { kind: 'agent', agentId, encryptionKid, serviceId, organization: claims.org, service: claims.service };
  };

  return {
    isServiceActive,
    findServiceToken,

    /** The caller, whose service is active. 401 without good credentials, 403 when the service is suspended. */
    async authenticate(request: FastifyRequest): Promise<Caller> {
      const token = bearerToken(request.headers.authorization);
      if (token === undefined)
        throw unauthenticated('Send the token of an agent or a service: Authorization: Bearer <token>.');
      const find = serviceTokenPattern.test(token) ? findServiceToken : findAgentCaller;
      const caller = await find(token);
      if (!caller) throw unauthenticated('The token is not that of an agent or a service, has expired or was revoked.');
      if (!(await isServiceActive(caller.serviceId))) throw serviceSuspended();
      return caller;
    },

    /** As `authenticate`, for what only agents do. */
    async authenticateAgent(request: FastifyRequest): Promise<AgentCaller> {
      const token = bearerToken(request.headers.authorization);
      if (token === undefined)
        throw unauthenticated('Send the access token of an agent: Authorization: Bearer <token>.');
      const caller = await findAgentCaller(token);
      if (!caller) throw unauthenticated('The token is not that of an agent, has expired or was revoked.');
      if (!(await isServiceActive(caller.serviceId))) throw serviceSuspended();
      return caller;
    },

    /** Those of these callers that may still be served. */
    async stillGood(all: readonly Caller[]): Promise<ReadonlySet<Caller>> {
      const good = new Set<Caller>();
      await Promise.all(
        all.map(async (caller) => {
          const [isThere, isActive] = await Promise.all([
            caller.kind === 'agent' ? livingAgent(caller.agentId) : livingToken(caller.tokenId),
            isServiceActive(caller.serviceId),
          ]);
          if (isThere !== undefined && isActive) good.add(caller);
        }),
      );
      return good;
    },
  };
}

/** What {@link createCallers} gives. */
export type Callers = ReturnType<typeof createCallers>;

/** The token of an Authorization header: `Bearer <token>`, or the token alone as the original's agents send it. */
export function bearerToken(authorization: string | undefined): string | undefined {
  const match = /^(?:bearer +)?([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization ?? '');
  return match?.[1];
}
