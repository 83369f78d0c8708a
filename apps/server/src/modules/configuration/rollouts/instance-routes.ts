import { Name, strictObject, Timestamp } from '@gatehouse/contracts';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { type App, AppError, type Db, invalidField } from '../../../kernel/index.ts';
import type { AgentCaller } from '../agents/agent.ts';
import type { Callers } from '../agents/callers.ts';
import type { Namespace } from '../namespaces/namespace.ts';
import type { Namespaces } from '../namespaces/namespace-service.ts';
import type { TakeReport } from './report-service.ts';
import { VersionInteger } from './rollout-wire.ts';
import type { SlotDesk } from './slot-desk.ts';

const tags = ['agents'];
const params = strictObject({ service: Name, namespace: Name });
const auth = { credentials: 'the access token of an agent of the service' };
const maxWaitSeconds = 60;

/** What instances say and ask: the report, and the slot before a restart. An agent speaks for itself alone. */
export function instanceRoutes(deps: {
  db: Db;
  callers: Pick<Callers, 'authenticateAgent'>;
  namespaces: Pick<Namespaces, 'getNamespace'>;
  report: TakeReport;
  desk: SlotDesk;
}) {
  const { db, callers, namespaces, report, desk } = deps;
  const agents = new WeakMap<FastifyRequest, AgentCaller>();
  const onRequest = async (request: FastifyRequest): Promise<void> => {
    agents.set(request, await callers.authenticateAgent(request));
  };

  /** The agent and the namespace it asks for. Another service's is not there for it. */
  const callerOf = async (
    request: FastifyRequest<{ Params: { service: string; namespace: string } }>,
  ): Promise<{ agentId: string; namespace: Namespace }> => {
    const { agentId, organization, service } = agents.get(request) as AgentCaller;
    if (service !== request.params.service) {
      throw new AppError('kernel.not_found', { detail: 'There is no namespace of this name.' });
    }
    const name = { organization, service, name: request.params.namespace };
    return { agentId, namespace: await db.read((tx) => namespaces.getNamespace(tx, name)) };
  };

  return (app: App): void => {
    // Before the node waits for its requests to end: who stands in line is told to come again, elsewhere.
    app.addHook('preClose', async () => desk.release());
    app.post(
      '/v1/services/:service/:namespace/instance',
      {
        onRequest,
        config: { auth },
        schema: {
          summary: 'An agent reports what became of a version on its host',
          description:
            'received, then applied (the process starts with it) or rejected with the reason, then healthy or unhealthy with the reason; stopped when the agent ends its process on purpose. A reason holds no value of the configuration.',
          tags,
          operationId: 'reportInstance',
          params,
          body: strictObject({
            version: VersionInteger,
            state: Type.Enum(['received', 'applied', 'rejected', 'healthy', 'unhealthy', 'stopped']),
            reason: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
          }),
          response: {
            200: strictObject({
              version: Type.Integer(),
              state: Type.String(),
              since: Timestamp,
              latest_version: Type.Integer(),
            }),
          },
        },
      },
      async (request) => {
        const { version, state, reason } = request.body;
        if (reason === undefined && (state === 'rejected' || state === 'unhealthy')) {
          throw invalidField('reason', 'is missing', `say why the instance is ${state}`);
        }
        const { agentId, namespace } = await callerOf(request);
        const said = { version, state, reason: reason === undefined ? undefined : oneLine(reason) };
        const { instance, latestVersion } = await report({ namespaceId: namespace.id, agentId, report: said });
        return {
          version: instance.version,
          state: instance.state,
          since: instance.since.toISOString(),
          latest_version: latestVersion,
        };
      },
    );
    app.post(
      '/v1/services/:service/:namespace/slot',
      {
        onRequest,
        config: { auth },
        schema: {
          summary: 'An agent asks for leave to restart its process with a version',
          description:
            'Granted until expires_at: by then the agent has reported that it is healthy, unhealthy or has rejected the version. Refused for now with the reason (superseded, stopped, canary, baking, max_unavailable); ask again after retry_after seconds. Asked again, a slot that is held is granted again.',
          tags,
          operationId: 'requestSlot',
          params,
          body: strictObject({
            version: VersionInteger,
            wait: Type.Optional(
              Type.Integer({ minimum: 0, maximum: maxWaitSeconds, description: 'seconds to wait for a slot; 0' }),
            ),
          }),
          response: {
            200: strictObject({
              granted: Type.Boolean(),
              expires_at: Type.Optional(Timestamp),
              reason: Type.Optional(Type.Enum(['superseded', 'stopped', 'canary', 'baking', 'max_unavailable'])),
              retry_after: Type.Optional(Type.Integer({ description: 'seconds' })),
              latest_version: Type.Optional(Type.Integer()),
            }),
          },
        },
      },
      async (request, reply) => {
        const { version, wait = 0 } = request.body;
        const { agentId, namespace } = await callerOf(request);
        const gone = new AbortController();
        reply.raw.once('close', () => gone.abort());
        const answer = await desk.ask(namespace.id, { agentId, version }, wait, gone.signal);
        if (answer.granted) return { granted: true, expires_at: answer.expiresAt.toISOString() };
        return {
          granted: false,
          reason: answer.reason,
          retry_after: answer.retryAfterSeconds,
          latest_version: answer.latestVersion,
        };
      },
    );
  };
}

/** A reason is shown in lists and logs: control characters become spaces. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim() || 'no reason given';
}
