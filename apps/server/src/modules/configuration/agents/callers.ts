import { namePattern } from '@gatehouse/contracts';
import type { FastifyRequest } from 'fastify';
import { createSharedRead, type Db, type Reader, unauthenticated } from '../../../kernel/index.ts';
import { listHeads, type NamespaceHead, type NamespaceKey, nameOfKey } from '../delivery/delivery-store.ts';
import type { AgentCaller, Caller } from './agent.ts';
import { serviceSuspended } from './agent-service.ts';
import { type LivingAgent, listLivingAgents } from './agent-store.ts';
import type { AgentTokens } from './agent-token.ts';
import { serviceTokenLength, serviceTokenPattern, tokenHash } from './token-service.ts';
import { findServiceTokens, listLivingServiceTokens } from './token-store.ts';

/** What a request names in its path. */
interface Path {
  readonly service: string;
  readonly namespace: string;
}

/** What the database is asked about one request. */
interface Question {
  readonly agentId: string | undefined;
  readonly serviceId: string;
  readonly namespace: NamespaceKey | undefined;
}

interface Findings {
  readonly agent: LivingAgent | undefined;
  readonly isServiceActive: boolean;
  readonly head: NamespaceHead | undefined;
}

/** Who asks, and where the namespace of the path stands: undefined when the caller's service has none of this name. */
export interface Judged<C extends Caller = Caller> {
  readonly caller: C;
  readonly head: NamespaceHead | undefined;
}

/**
 * Tells who asks for configuration: an agent by its access token, or whoever holds a service token (as it is, or as
 * Bearer). Each use asks the database: a revoked agent, a deleted token and a suspended service are refused on every node
 * from the commit on. Parallel requests share the statements, and all that one request needs goes in one round trip.
 */
export function createCallers(deps: {
  db: Db;
  tokens: Pick<AgentTokens, 'verify'>;
  /** Those of these services that are active, in active organizations. */
  listActiveServices: (tx: Reader, ids: readonly string[]) => Promise<ReadonlySet<string>>;
}) {
  const { db, tokens, listActiveServices } = deps;
  const serviceToken = createSharedRead(db, (hash: string) => hash, findServiceTokens);
  const livingToken = createSharedRead(db, (id: string) => id, listLivingServiceTokens);
  const judge = createSharedRead<Question, Findings>(db, nameOfQuestion, async (tx, questions) => {
    const agentIds = new Set(questions.flatMap(({ agentId }) => agentId ?? []));
    const serviceIds = new Set(questions.map(({ serviceId }) => serviceId));
    const namespaces = new Map(
      questions.flatMap(({ namespace }) => (namespace ? [[nameOfKey(namespace), namespace] as const] : [])),
    );
    const [agents, services, heads] = await Promise.all([
      agentIds.size === 0 ? undefined : listLivingAgents(tx, [...agentIds]),
      listActiveServices(tx, [...serviceIds]),
      namespaces.size === 0 ? undefined : listHeads(tx, [...namespaces.values()]),
    ]);
    const findingsOf = ({ agentId, serviceId, namespace }: Question): Findings => ({
      agent: agentId === undefined ? undefined : agents?.get(agentId),
      isServiceActive: services.has(serviceId),
      head: namespace && heads?.get(nameOfKey(namespace)),
    });
    return new Map(questions.map((question) => [nameOfQuestion(question), findingsOf(question)] as const));
  });

  const isServiceActive = async (serviceId: string): Promise<boolean> => {
    const findings = await judge({ agentId: undefined, serviceId, namespace: undefined });
    return findings?.isServiceActive === true;
  };

  const findServiceToken = async (token: string): Promise<Extract<Caller, { kind: 'service-token' }> | undefined> => {
    const found = await serviceToken(tokenHash(token).toString('hex'));
    if (!found) return undefined;
    const { id, mayEnrol, serviceId, organization, service } = found;
    return { kind: 'service-token', tokenId: id, mayEnrol, serviceId, organization, service };
  };

  const judgeAgent = async (token: string, path?: Path): Promise<Judged<AgentCaller> | undefined> => {
    const claims = await tokens.verify(token);
    if (!claims) return undefined;
    const { sub: agentId, org: organization, service, service_id: serviceId } = claims;
    const findings = await judge({ agentId, serviceId, namespace: namespaceOf({ organization, service }, path) });
    const { agent, head } = findings ?? {};
    if (!agent || agent.signatureKid !== claims.key || agent.serviceId !== serviceId) return undefined;
    if (!findings?.isServiceActive) throw serviceSuspended();
    const { encryptionKid } = agent;
    return { caller: { kind: 'agent', agentId, encryptionKid, serviceId, organization, service }, head };
  };

  const judgeServiceToken = async (token: string, path: Path): Promise<Judged | undefined> => {
    const caller = await findServiceToken(token);
    if (!caller) return undefined;
    const { serviceId } = caller;
    const findings = await judge({ agentId: undefined, serviceId, namespace: namespaceOf(caller, path) });
    if (!findings?.isServiceActive) throw serviceSuspended();
    return { caller, head: findings.head };
  };

  return {
    isServiceActive,
    findServiceToken,

    /** The caller, whose service is active. 401 without good credentials, 403 when the service is suspended. */
    async authenticate(request: FastifyRequest, path: Path): Promise<Judged> {
      const token = bearerToken(request.headers.authorization);
      if (token === undefined) {
        throw unauthenticated('Send the token of an agent or a service: Authorization: Bearer <token>.');
      }
      const judged = isServiceToken(token) ? await judgeServiceToken(token, path) : await judgeAgent(token, path);
      if (!judged) throw unauthenticated('The token is not that of an agent or a service, has expired or was revoked.');
      return judged;
    },

    /** The caller, for what only agents do. */
    async authenticateAgent(request: FastifyRequest): Promise<AgentCaller> {
      const token = bearerToken(request.headers.authorization);
      if (token === undefined) {
        throw unauthenticated('Send the access token of an agent: Authorization: Bearer <token>.');
      }
      const judged = await judgeAgent(token);
      if (!judged) throw unauthenticated('The token is not that of an agent, has expired or was revoked.');
      return judged.caller;
    },

    /** Those of these callers that may still be served. */
    async stillGood(all: readonly Caller[]): Promise<ReadonlySet<Caller>> {
      const good = new Set<Caller>();
      await Promise.all(
        all.map(async (caller) => {
          const agentId = caller.kind === 'agent' ? caller.agentId : undefined;
          const [findings, token] = await Promise.all([
            judge({ agentId, serviceId: caller.serviceId, namespace: undefined }),
            caller.kind === 'service-token' ? livingToken(caller.tokenId) : undefined,
          ]);
          if (findings?.isServiceActive && (findings.agent !== undefined || token === true)) good.add(caller);
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
  const scheme = /^bearer +/i.exec(authorization ?? '')?.[0] ?? '';
  const token = authorization?.slice(scheme.length);
  return token === '' ? undefined : token;
}

/** Service tokens have a length and letters of their own; everything else can only be an agent's. */
function isServiceToken(token: string): boolean {
  return token.length === serviceTokenLength && serviceTokenPattern.test(token);
}

/** The namespace of a path, when it can be one of the caller's: what is no name does not reach a statement of many. */
function namespaceOf(
  { organization, service }: Pick<Caller, 'organization' | 'service'>,
  path: Path | undefined,
): NamespaceKey | undefined {
  if (path?.service !== service || !isName.test(path.namespace)) return undefined;
  return { organization, service, name: path.namespace };
}

const isName = new RegExp(namePattern);

function nameOfQuestion({ agentId, serviceId, namespace }: Question): string {
  return `${agentId ?? ''} ${serviceId} ${namespace ? nameOfKey(namespace) : ''}`;
}
