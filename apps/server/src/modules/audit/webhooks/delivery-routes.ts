import { type JsonObject, pageOf, strictObject } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { type App, AppError, type Db, decodeCursor, invalidField, pageFrom } from '../../../kernel/index.ts';
import { findDelivery, listDeliveries } from './delivery-store.ts';
import type { Delivery } from './webhook.ts';
import { readAuth, tags, webhookOrganization, writeAuth } from './webhook-routes.ts';
import {
  DeliveryAnswer,
  DeliveryParams,
  DeliveryQuery,
  DeliveryWithPayload,
  Replayed,
  ReplayRange,
  WebhookParams,
} from './webhook-schemas.ts';
import type { WebhookService } from './webhook-service.ts';

/** What became of telling an endpoint, and telling it again. `wake` is called when there is something to send. */
export function deliveryRoutes({ db, webhooks, wake }: { db: Db; webhooks: WebhookService; wake: () => void }) {
  return (app: App): void => {
    app.get(
      '/v1/webhooks/:webhook/deliveries',
      {
        config: readAuth,
        schema: {
          summary: 'List the deliveries of a webhook of the last 30 days, newest first',
          tags,
          operationId: 'listWebhookDeliveries',
          params: WebhookParams,
          querystring: DeliveryQuery,
          response: { 200: pageOf(DeliveryAnswer) },
        },
      },
      async (request) => {
        const { limit = 50, cursor, state } = request.query;
        const before = positionIn(cursor);
        const organization = webhookOrganization(request.principal);
        const rows = await db.read(async (tx) => {
          const { id: webhookId } = await webhooks.getWebhook(tx, organization, request.params.webhook);
          return listDeliveries(tx, { webhookId, state }, before, limit + 1);
        });
        return pageFrom(rows, limit, (row) => [row.createdAt.getTime(), row.id], toAnswer);
      },
    );

    app.get(
      '/v1/webhooks/:webhook/deliveries/:delivery',
      {
        config: readAuth,
        schema: {
          summary: 'Show a delivery and what is sent',
          tags,
          operationId: 'getWebhookDelivery',
          params: DeliveryParams,
          response: { 200: DeliveryWithPayload },
        },
      },
      async (request) => {
        const organization = webhookOrganization(request.principal);
        const found = await db.read(async (tx) => {
          const webhook = await webhooks.getWebhook(tx, organization, request.params.webhook);
          return findDelivery(tx, webhook.id, request.params.delivery);
        });
        if (!found) throw new AppError('kernel.not_found', { detail: 'The webhook has no delivery with this id.' });
        const payload = JSON.parse(found.body) as { type: string; timestamp: string; data: JsonObject };
        return { ...toAnswer(found), payload };
      },
    );

    app.post(
      '/v1/webhooks/:webhook/deliveries/:delivery/replay',
      {
        config: writeAuth,
        schema: {
          summary: 'Send a delivery again',
          tags,
          operationId: 'replayWebhookDelivery',
          params: DeliveryParams,
          response: { 202: DeliveryAnswer },
        },
      },
      async (request, reply) => {
        const { principal, origin, params } = request;
        const change = { organization: webhookOrganization(principal), id: params.webhook, origin };
        const delivery = await db.transaction((tx) =>
          webhooks.replayDelivery(tx, { ...change, deliveryId: params.delivery }),
        );
        wake();
        return reply.code(202).send(toAnswer(delivery));
      },
    );

    app.post(
      '/v1/webhooks/:webhook/replay',
      {
        config: writeAuth,
        schema: {
          summary: 'Send again what was recorded in a time',
          description: 'The dead deliveries, or with `include_delivered` all. Deliveries are kept for 30 days.',
          tags,
          operationId: 'replayWebhookDeliveries',
          params: WebhookParams,
          body: ReplayRange,
          response: { 202: Replayed },
        },
      },
      async (request, reply) => {
        const { principal, origin, params, body } = request;
        const change = { organization: webhookOrganization(principal), id: params.webhook, origin };
        const range = {
          from: timeOf('since', body.since),
          to: body.until === undefined ? undefined : timeOf('until', body.until),
          states: body.include_delivered ? (['dead', 'delivered'] as const) : (['dead'] as const),
        };
        const { count, continueFrom } = await db.transaction((tx) =>
          webhooks.replaySince(tx, { ...change, ...range, limit: body.limit }),
        );
        wake();
        return reply.code(202).send({
          deliveries: count,
          ...(continueFrom === undefined ? {} : { continue_since: continueFrom.toISOString() }),
        });
      },
    );

    app.post(
      '/v1/webhooks/:webhook/test',
      {
        config: writeAuth,
        schema: {
          summary: 'Send a test event (webhook.test) to a webhook',
          tags,
          operationId: 'testWebhook',
          params: WebhookParams,
          response: { 202: strictObject({ event_id: Type.String(), delivery_id: Type.String() }) },
        },
      },
      async (request, reply) => {
        const { principal, origin, params } = request;
        const change = { organization: webhookOrganization(principal), id: params.webhook, origin };
        const { eventId, deliveryId } = await db.transaction((tx) => webhooks.sendTest(tx, change));
        wake();
        return reply.code(202).send({ event_id: eventId, delivery_id: deliveryId });
      },
    );
  };
}

function positionIn(cursor: string | undefined): { createdAt: Date; id: string } | undefined {
  const key = decodeCursor(cursor, 2);
  if (key === undefined) return undefined;
  const createdAt = new Date(Number(key[0]));
  if (Number.isNaN(createdAt.getTime())) {
    throw new AppError('kernel.invalid_cursor', { detail: 'Use the next_cursor of the page before, unchanged.' });
  }
  return { createdAt, id: String(key[1]) };
}

function timeOf(field: string, text: string): Date {
  const time = new Date(text);
  if (Number.isNaN(time.getTime()))
    throw invalidField(field, 'is not a time that exists', 'use a form such as 2026-01-31T12:00:00Z');
  return time;
}

function toAnswer(delivery: Delivery) {
  const { nextAttemptAt, lastAttemptAt, lastStatus, lastError } = delivery;
  return {
    id: delivery.id,
    event_id: delivery.eventId,
    type: delivery.type,
    state: delivery.state,
    attempts: delivery.attempts,
    created_at: delivery.createdAt.toISOString(),
    ...(nextAttemptAt === undefined ? {} : { next_attempt_at: nextAttemptAt.toISOString() }),
    ...(lastAttemptAt === undefined ? {} : { last_attempt_at: lastAttemptAt.toISOString() }),
    ...(lastStatus === undefined ? {} : { last_status: lastStatus }),
    ...(lastError === undefined ? {} : { last_error: lastError }),
  };
}
