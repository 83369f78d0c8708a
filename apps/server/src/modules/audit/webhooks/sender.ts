import { Counter } from 'prom-client';
import {
  addSeconds,
  type Clock,
  type Db,
  epochSeconds,
  FetchRefused,
  type GuardedFetch,
  type Logger,
  type Metrics,
  type Random,
} from '../../../kernel/index.ts';
import type { AppendEntry } from './audit-trail.ts';
import {
  buryWaiting,
  type ClaimedDelivery,
  claimDeliveries,
  finishAttempt,
  listDueWebhooks,
} from './delivery-store.ts';
import {
  chooseTurns,
  concurrency,
  disableAfterSeconds,
  holdSeconds,
  leaseSeconds,
  maxAttempts,
  retryDelaySeconds,
} from './retry-rules.ts';
import { signedHeaders } from './signature.ts';
import type { DisabledReason } from './webhook.ts';
import type { WebhookSecrets } from './webhook-secrets.ts';
import { disableWebhook, holdWebhook, noteFailure, noteSuccess } from './webhook-store.ts';

/** Sends what is due. One runs on each node; a delivery is at one node at a time, unless its lease ran out. */
export interface Sender {
  /** Begins what may begin now, and goes on until nothing is due; returns when that much is under way. */
  readonly pump: () => Promise<void>;
  /** Begins nothing more and waits for the attempts under way, each five seconds at most. */
  readonly stop: () => Promise<void>;
}

/** How an attempt ended. */
type Ending = { readonly ok: true; readonly status?: number } | { readonly ok: false; status?: number; error: string };

const systemOrigin = { actor: { type: 'system', id: 'webhooks' } } as const;

/** Creates the sender of one node. */
export function createSender(deps: {
  db: Db;
  clock: Clock;
  random: Pick<Random, 'id' | 'bytes'>;
  log: Logger;
  metrics: Pick<Metrics, 'registry'>;
  append: AppendEntry;
  fetch: GuardedFetch;
  secrets: Pick<WebhookSecrets, 'openValid'>;
}): Sender {
  const { db, clock, random, log, append, fetch, secrets } = deps;
  const ended = new Counter({
    name: 'gatehouse_webhook_attempts_total',
    help: 'Attempts to deliver to a webhook: delivered, failed (tried again), dead (tried no more)',
    labelNames: ['result'],
    registers: [deps.metrics.registry],
  });
  const inFlight = new Map<string, ClaimedDelivery>();
  const attempts = new Set<Promise<void>>();
  let stopped = false;
  let pumping: Promise<void> | undefined;
  let again = false;

  const claim = () =>
    db.transaction(async (tx) => {
      const now = clock.now();
      const candidates = await listDueWebhooks(tx, now, 10 * concurrency.node);
      const turns = chooseTurns(candidates, [...inFlight.values()]);
      if (turns.size === 0) return [];
      const lease = { now, until: addSeconds(now, leaseSeconds), claim: random.id('claim') };
      return claimDeliveries(tx, turns, lease);
    });

  /** A receiver that answered 2xx has the event, whatever became of the rest of its answer. */
  const attempt = async ({ webhookId, organization, eventId, url, body }: ClaimedDelivery): Promise<Ending> => {
    try {
      const valid = await db.read((tx) => secrets.openValid(tx, { id: webhookId, organization }));
      const headers = signedHeaders({ eventId, timestampSeconds: epochSeconds(clock), body, secrets: valid });
      const { status } = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      });
      return { ok: true, status };
    } catch (error) {
      if (!(error instanceof FetchRefused)) {
        log.error({ err: error, webhook: webhookId }, 'a webhook delivery could not be made');
        return { ok: false, error: 'the delivery could not be made; the log of the server says why' };
      }
      const { status, message } = error;
      if (error.reason === 'too_large') return { ok: true, ...(status === undefined ? {} : { status }) };
      return { ok: false, error: message, ...(status === undefined ? {} : { status }) };
    }
  };

  const record = (delivery: ClaimedDelivery, ending: Ending) =>
    db.transaction(async (tx) => {
      const { webhookId } = delivery;
      // The webhook first, then the delivery: everybody takes these locks in one order.
      if (ending.ok) {
        await noteSuccess(tx, webhookId);
        await finishAttempt(tx, delivery, { state: 'delivered', status: ending.status });
        return 'delivered';
      }
      const now = clock.now();
      const { status, error } = ending;
      const webhook = await noteFailure(tx, webhookId, now);
      const dead = delivery.attempts >= maxAttempts || !webhook;
      const delay = retryDelaySeconds(delivery.attempts, (random.bytes(1)[0] ?? 0) / 255);
      const next = dead ? {} : { nextAttemptAt: addSeconds(now, delay) };
      await finishAttempt(tx, delivery, { state: dead ? 'dead' : 'waiting', status, error, ...next });
      const result = dead ? 'dead' : 'failed';
      if (!webhook) return result;
      const failingSeconds = (now.getTime() - webhook.failingSince.getTime()) / 1000;
      const reason: DisabledReason | undefined =
        status === 410 ? 'gone' : failingSeconds >= disableAfterSeconds ? 'failing' : undefined;
      if (reason === undefined) {
        await holdWebhook(tx, webhookId, addSeconds(now, holdSeconds(webhook.failures)));
        return result;
      }
      await disableWebhook(tx, webhookId, reason, now);
      await buryWaiting(tx, webhookId, 'the webhook was disabled');
      await append(tx, {
        action: 'webhook.disabled',
        organization: webhook.organization,
        origin: systemOrigin,
        target: { type: 'webhook', id: webhookId },
        reason: reason === 'gone' ? 'the endpoint answered 410 Gone' : 'the endpoint has failed for too long',
        details: { cause: reason },
      });
      log.warn({ webhook: webhookId, organization: webhook.organization, cause: reason }, 'a webhook was disabled');
      return 'dead';
    });

  const begin = (delivery: ClaimedDelivery) => {
    inFlight.set(delivery.id, delivery);
    const work = attempt(delivery)
      .then((ending) => record(delivery, ending))
      .then((result) => ended.inc({ result }))
      .catch((error: unknown) => {
        // Not recorded: when the lease ends it is sent again, which at-least-once allows.
        log.warn({ err: error, webhook: delivery.webhookId }, 'a webhook delivery was not recorded; it is sent again');
      })
      .finally(() => {
        inFlight.delete(delivery.id);
        attempts.delete(work);
        void pump();
      });
    attempts.add(work);
  };

  const round = async () => {
    try {
      for (const delivery of await claim()) begin(delivery);
    } catch (error) {
      log.warn({ err: error, component: 'webhooks' }, 'looking for webhook deliveries failed; trying again');
    }
  };

  /** One claim at a time; who asks during one gets another after it. */
  const pump = async (): Promise<void> => {
    if (stopped) return;
    if (pumping) {
      again = true;
      await pumping;
      return;
    }
    pumping = round().finally(() => {
      pumping = undefined;
    });
    await pumping;
    if (again) {
      again = false;
      void pump();
    }
  };

  return {
    pump,
    async stop() {
      stopped = true;
      await pumping;
      await Promise.all(attempts);
    },
  };
}
