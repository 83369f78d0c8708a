import { Name, strictObject } from '@gatehouse/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { type App, AppError } from '../../../kernel/index.ts';
import type { Keys } from '../../keys/index.ts';
import type { Caller } from '../agents/agent.ts';
import type { Callers } from '../agents/callers.ts';
import type { Rollouts } from '../rollouts/rollouts.ts';
import { VersionNumber } from '../versions/version-wire.ts';
import type { Answer, Bundles } from './bundles.ts';
import type { NamespaceHead } from './delivery-store.ts';
import type { Hub } from './hub.ts';

const tags = ['delivery'];
const config = { auth: { credentials: 'the access token of an agent, or a service token' } } as const;
const params = strictObject({ service: Name, namespace: Name });
const Since = Type.Integer({ minimum: 0, maximum: 999_999_999, description: 'the version that the caller has' });
const Unchanged = Type.Null({ description: 'nothing newer' });

/** Who asks, and for what. */
interface Asked {
  readonly caller: Caller;
  readonly head: NamespaceHead;
}

/** How configuration reaches agents. Who asks is checked before anything else of the request is looked at. */
export function deliveryRoutes(deps: {
  callers: Pick<Callers, 'authenticate'>;
  bundles: Bundles;
  hub: Hub;
  keys: Pick<Keys, 'configurationKeys'>;
  rollouts: Pick<Rollouts, 'seen' | 'startVersion'>;
}) {
  const { callers, bundles, hub, keys, rollouts } = deps;
  const asked = new WeakMap<FastifyRequest, Asked>();
  /** Another service's namespace is as unknown as one that is not there. */
  const onRequest = async (request: FastifyRequest) => {
    const { caller, head } = await callers.authenticate(
      request,
      request.params as { service: string; namespace: string },
    );
    if (!head) throw new AppError('kernel.not_found', { detail: 'There is no namespace of this name.' });
    asked.set(request, { caller, head });
    if (caller.kind === 'agent') rollouts.seen(caller.agentId, head.id);
  };
  const askedOf = (request: FastifyRequest): Asked => {
    const known = asked.get(request);
    if (!known) throw new Error('delivery: a route without authentication');
    return known;
  };

  return (app: App): void => {
    app.addHook('preClose', async () => hub.drain());

    app.get(
      '/v1/configuration/keys',
      {
        config: { auth: { public: 'public keys are for everyone; they hold no private member' } },
        schema: {
          summary: 'Public keys that verify bundles, those of old bundles too (RFC 7517)',
          description: 'A key with `revoked` verifies nothing. `nbf` and `exp` say when a key signed.',
          tags,
          operationId: 'getConfigurationKeys',
          response: { 200: strictObject({ keys: Type.Array(Type.Record(Type.String(), Type.Unknown())) }) },
        },
      },
      async (_request, reply) => {
        reply.header('cache-control', 'public, max-age=60');
        return { keys: keys.configurationKeys().map((key) => ({ ...key })) };
      },
    );

    app.get(
      '/v1/services/:service/:namespace/agent',
      {
        onRequest,
        config,
        schema: {
          summary: 'The newest version of a namespace, or the next one when there is one',
          description:
            'With `since` (or If-None-Match) the answer is 304 while that is the newest; with `wait` it waits for another one up to so many seconds. An agent that has none yet is also told which one to start with: while a rollout is open, the last that reached all instances.',
          tags,
          operationId: 'getAgentVersion',
          params,
          querystring: strictObject({
            since: Type.Optional(Since),
            wait: Type.Optional(Type.Integer({ minimum: 1, maximum: 60, description: 'seconds' })),
          }),
          response: {
            200: strictObject({ version: Type.Integer(), start_version: Type.Optional(Type.Integer()) }),
            304: Unchanged,
          },
        },
      },
      async (request, reply) => {
        const { caller, head } = askedOf(request);
        const { since = versionOf(request.headers['if-none-match']), wait } = request.query;
        if (since === undefined && caller.kind === 'agent') {
          const start = await rollouts.startVersion(head.id, caller.agentId);
          return sendVersion(reply, start?.version ?? head.latestVersion, start?.startVersion);
        }
        if (since === undefined || since !== head.latestVersion) return sendVersion(reply, head.latestVersion);
        if (wait === undefined) return unchanged(reply, `"${since}"`);
        hub.assertRoom(caller);
        reply.hijack();
        const { id: namespaceId, latestVersion: latest } = head;
        hub.wait({ response: reply.raw, caller, namespaceId, latest, since, waitSeconds: wait });
        return reply;
      },
    );

    app.get(
      '/v1/services/:service/:namespace/:version/agent',
      {
        onRequest,
        config,
        schema: {
          summary: 'A version as it is handed out',
          description:
            'To an agent: `bundle` (a signed JWT, the same for every agent) and, when there are secrets, `secrets` (a JWE to the agent’s key). To the holder of a service token: the values themselves; 403 when there are secrets among them.',
          tags,
          operationId: 'getAgentConfiguration',
          params: strictObject({ service: Name, namespace: Name, version: VersionNumber }),
          response: {
            200: Type.Union([
              strictObject({ bundle: Type.String(), secrets: Type.Optional(Type.String()) }),
              Type.Record(Type.String(), Type.Unknown()),
            ]),
            304: Unchanged,
          },
        },
      },
      async (request, reply) => {
        const { caller, head } = askedOf(request);
        const version = Number(request.params.version);
        const isCurrent = (etag: string) => request.headers['if-none-match'] === etag;
        const answer =
          caller.kind === 'agent'
            ? await bundles.agentAnswer(caller, head, version, { origin: () => request.origin, isCurrent })
            : await bundles.plainAnswer(head, version);
        return isCurrent(answer.etag) ? unchanged(reply, answer.etag) : sendAnswer(reply, answer);
      },
    );

    app.get(
      '/v1/services/:service/:namespace/events',
      {
        onRequest,
        config,
        exposeHeadRoute: false,
        schema: {
          summary: 'New versions as server-sent events',
          description:
            'Every version after `since` (or Last-Event-ID), in order: `id: 42`, `event: version`, `data: {"version":42}`. Without either, the newest and what follows. A comment each 15 s. The stream may end at any time: come back with where you were, after a pause of your own.',
          tags,
          operationId: 'followVersions',
          params,
          querystring: strictObject({ since: Type.Optional(Since) }),
          response: { 200: { content: { 'text/event-stream': { schema: Type.String() } } } },
        },
      },
      async (request, reply) => {
        const { caller, head } = askedOf(request);
        const { since = versionOf(request.headers['last-event-id']?.toString()) } = request.query;
        hub.assertRoom(caller);
        reply.hijack();
        hub.stream({ response: reply.raw, caller, namespaceId: head.id, latest: head.latestVersion, since });
        return reply;
      },
    );
  };
}

/** A version as a header names it, with or without quotes; anything else counts as nothing. */
function versionOf(header: string | undefined): number | undefined {
  const match = /^(?:W\/)?"?(\d{1,9})"?$/.exec(header ?? '');
  return match ? Number(match[1]) : undefined;
}

function sendVersion(reply: FastifyReply, version: number, startVersion?: number): FastifyReply {
  const start = startVersion === undefined ? '' : `,"start_version":${startVersion}`;
  return sendAnswer(reply, { etag: `"${version}"`, body: `{"version":${version}${start}}` });
}

/** JSON that is written already. As a text: with its head it leaves in one piece, where bytes would be a second one. */
function sendAnswer(reply: FastifyReply, { etag, body }: Answer): FastifyReply {
  return reply
    .header('etag', etag)
    .header('cache-control', 'private, no-cache')
    .type('application/json; charset=utf-8')
    .serializer(asItIs)
    .send(body);
}

const asItIs = (body: unknown) => body as string;

function unchanged(reply: FastifyReply, etag: string): FastifyReply {
  return reply.code(304).header('etag', etag).header('cache-control', 'private, no-cache').send();
}
