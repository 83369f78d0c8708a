import { type EventDescription, eventTable, PageQuery, pageOf, strictObject } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { type App, AppError, type Db, decodeCursor, type Principal, pageFrom } from '../../../kernel/index.ts';
import { eventNames } from './event-rules.ts';
import { platformOrganization, type Webhook, type WebhookSecret } from './webhook.ts';
import {
  CreatedWebhook,
  EventAnswer,
  NewWebhook,
  RotatedSecret,
  Rotation,
  WebhookAnswer,
  WebhookParams,
  WebhookUpdate,
} from './webhook-schemas.ts';
import type { WebhookService } from './webhook-service.ts';

/** What these routes have in common with those of deliveries. */
export const tags = ['webhooks'];
/** Who may look. */
export const readAuth = { auth: { permission: 'webhooks:read' } } as const;
/** Who may change. */
export const writeAuth = { auth: { permission: 'webhooks:write' } } as const;

/**
 * The organization whose webhooks the caller sees. Those of `gatehouse` hear of every organization, so only operators
 * have to do with them, whatever permission a role of that organization holds.
 */
export function webhookOrganization(principal: Principal): string {
  if (principal.organization === platformOrganization && !principal.operator) {
    throw new AppError('kernel.forbidden', {
      detail: 'Webhooks of the organization gatehouse hear of every organization; only operators have to do with them.',
    });
  }
  return principal.organization;
}

/** `/v1/webhooks`: who is told of what. */
export function webhookRoutes({ db, webhooks }: { db: Db; webhooks: WebhookService }) {
  return (app: App): void => {
    app.get(
      '/v1/webhooks/events',
      {
        config: readAuth,
        schema: {
          summary: 'List the events that webhooks can be told of',
          tags,
          operationId: 'listWebhookEvents',
          response: { 200: strictObject({ items: Type.Array(EventAnswer) }) },
        },
      },
      async () => ({
        items: eventNames.map((name) => {
          const { title, data, everybody }: EventDescription = eventTable[name];
          return { name, title, data: [...data], everybody: everybody ?? false };
        }),
      }),
    );

    app.get(
      '/v1/webhooks',
      {
        config: readAuth,
        schema: {
          summary: 'List the webhooks of the organization',
          tags,
          operationId: 'listWebhooks',
          querystring: PageQuery,
          response: { 200: pageOf(WebhookAnswer) },
        },
      },
      async (request) => {
        const { limit = 50, cursor } = request.query;
        const after = String(decodeCursor(cursor, 1)?.[0] ?? '');
        const organization = webhookOrganization(request.principal);
        return db.read(async (tx) => {
          const rows = await webhooks.listWebhooks(tx, organization, after, limit + 1);
          const secrets = await webhooks.listSecrets(
            tx,
            rows.map(({ id }) => id),
          );
          return pageFrom(
            rows,
            limit,
            (row) => [row.id],
            (row) => toAnswer(row, secrets.get(row.id) ?? []),
          );
        });
      },
    );

    app.post(
      '/v1/webhooks',
      {
        config: writeAuth,
        schema: {
          summary: 'Make a webhook',
          description: 'The secret is in this answer and nowhere else. The webhook hears of what is done from now on.',
          tags,
          operationId: 'createWebhook',
          body: NewWebhook,
          response: { 201: CreatedWebhook },
        },
      },
      async (request, reply) => {
        const organization = webhookOrganization(request.principal);
        const input = { ...request.body, organization, origin: request.origin };
        const answer = await db.transaction(async (tx) => {
          const { webhook, secret } = await webhooks.createWebhook(tx, input);
          const secrets = await webhooks.listSecrets(tx, [webhook.id]);
          return { ...toAnswer(webhook, secrets.get(webhook.id) ?? []), secret };
        });
        return reply.code(201).header('cache-control', 'no-store').send(answer);
      },
    );

    app.get(
      '/v1/webhooks/:webhook',
      {
        config: readAuth,
        schema: {
          summary: 'Show a webhook',
          tags,
          operationId: 'getWebhook',
          params: WebhookParams,
          response: { 200: WebhookAnswer },
        },
      },
      async (request) => {
        const organization = webhookOrganization(request.principal);
        return db.read(async (tx) => {
          const webhook = await webhooks.getWebhook(tx, organization, request.params.webhook);
          return toAnswer(webhook, (await webhooks.listSecrets(tx, [webhook.id])).get(webhook.id) ?? []);
        });
      },
    );

    app.patch(
      '/v1/webhooks/:webhook',
      {
        config: writeAuth,
        schema: {
          summary: 'Change a webhook',
          description:
            'Disabling gives up what waits (a replay brings it back). Enabling, or another address, forgets how the endpoint failed.',
          tags,
          operationId: 'updateWebhook',
          params: WebhookParams,
          body: WebhookUpdate,
          response: { 200: WebhookAnswer },
        },
      },
      async (request) => {
        const { principal, origin, body, params } = request;
        const change = { ...body, organization: webhookOrganization(principal), id: params.webhook, origin };
        return db.transaction(async (tx) => {
          const webhook = await webhooks.changeWebhook(tx, change);
          return toAnswer(webhook, (await webhooks.listSecrets(tx, [webhook.id])).get(webhook.id) ?? []);
        });
      },
    );

    app.delete(
      '/v1/webhooks/:webhook',
      {
        config: writeAuth,
        schema: {
          summary: 'Delete a webhook with its deliveries',
          tags,
          operationId: 'deleteWebhook',
          params: WebhookParams,
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        const { principal, origin, params } = request;
        const change = { organization: webhookOrganization(principal), id: params.webhook, origin };
        await db.transaction((tx) => webhooks.removeWebhook(tx, change));
        return reply.code(204).send(null);
      },
    );

    app.post(
      '/v1/webhooks/:webhook/rotate',
      {
        config: writeAuth,
        schema: {
          summary: 'Replace the secret of a webhook',
          description:
            'Until the previous one ends, deliveries carry a signature by each. The secret is shown this once.',
          tags,
          operationId: 'rotateWebhookSecret',
          params: WebhookParams,
          body: Rotation,
          response: { 200: RotatedSecret },
        },
      },
      async (request, reply) => {
        const { principal, origin, params, body } = request;
        const change = { organization: webhookOrganization(principal), id: params.webhook, origin };
        const { secret, previousEndsAt } = await db.transaction((tx) =>
          webhooks.rotateSecret(tx, { ...change, overlapSeconds: body.overlap_seconds }),
        );
        return reply.header('cache-control', 'no-store').send({
          secret,
          ...(previousEndsAt === undefined ? {} : { previous_expires_at: previousEndsAt.toISOString() }),
        });
      },
    );
  };
}

function toAnswer(webhook: Webhook, secrets: readonly WebhookSecret[]) {
  const { description, disabledReason, failingSince } = webhook;
  return {
    id: webhook.id,
    organization: webhook.organization,
    url: webhook.url,
    events: [...webhook.events],
    ...(description === undefined ? {} : { description }),
    enabled: webhook.enabled,
    ...(disabledReason === undefined ? {} : { disabled_reason: disabledReason }),
    ...(failingSince === undefined ? {} : { failing_since: failingSince.toISOString() }),
    secrets: secrets.map(({ id, createdAt, expiresAt }) => ({
      id,
      created_at: createdAt.toISOString(),
      ...(expiresAt === undefined ? {} : { expires_at: expiresAt.toISOString() }),
    })),
    created_at: webhook.createdAt.toISOString(),
    created_by: webhook.createdBy,
    updated_at: webhook.updatedAt.toISOString(),
  };
}
