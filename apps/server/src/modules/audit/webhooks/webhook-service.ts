import {
  AppError,
  addSeconds,
  type Clock,
  invalidField,
  isPrivateAddress,
  isUniqueViolation,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { AppendEntry } from './audit-trail.ts';
import { buryWaiting, findDelivery, replayDeliveries, replayDelivery } from './delivery-store.ts';
import { bodyOf, unknownPatterns } from './event-rules.ts';
import { insertDeliveries, insertEvents } from './relay-store.ts';
import type { DeliveryState, Webhook } from './webhook.ts';
import type { WebhookSecrets } from './webhook-secrets.ts';
import {
  deleteWebhook,
  findWebhook,
  findWebhookForUpdate,
  insertWebhook,
  listSecrets,
  listWebhooks,
  updateWebhook,
} from './webhook-store.ts';

/** Most webhooks of an organization. */
export const maxWebhooks = 50;
/** How long a replaced secret may go on signing: seven days. */
export const longestOverlapSeconds = 7 * 24 * 3600;
/** Most deliveries that one request sends again: bounds how long its transaction takes. */
export const maxReplayed = 10_000;
const defaultOverlapSeconds = 24 * 3600;

/** Which webhook, and who acts. */
export interface WebhookChange {
  readonly organization: string;
  readonly id: string;
  readonly origin: Origin;
}

/** Decides about webhooks; everything in the caller's transaction. */
export function createWebhookService(deps: {
  clock: Clock;
  random: Pick<Random, 'id'>;
  append: AppendEntry;
  secrets: WebhookSecrets;
  allowPrivateNetworks: readonly string[];
}) {
  const { clock, random, append, secrets, allowPrivateNetworks } = deps;

  const record = (
    tx: Tx,
    action: string,
    { organization, id, origin }: WebhookChange,
    details: Record<string, string | number | readonly string[]> = {},
  ) => append(tx, { action, organization, origin, target: { type: 'webhook', id }, details });

  const getForChange = async (tx: Tx, { organization, id }: WebhookChange): Promise<Webhook> => {
    const webhook = await findWebhookForUpdate(tx, organization, id);
    if (!webhook) throw notFound();
    return webhook;
  };

  const getEnabled = async (tx: Tx, change: WebhookChange): Promise<Webhook> => {
    const webhook = await getForChange(tx, change);
    if (webhook.enabled) return webhook;
    throw new AppError('kernel.conflict', { detail: 'The webhook is disabled. Enable it first.' });
  };

  return {
    findWebhook,
    /** The webhook; 404 for one of another organization. */
    async getWebhook(tx: Reader, organization: string, id: string): Promise<Webhook> {
      const webhook = await findWebhook(tx, organization, id);
      if (!webhook) throw notFound();
      return webhook;
    },
    listWebhooks,
    /** The valid secrets of webhooks, without their values. */
    listSecrets: (tx: Reader, ids: readonly string[]) => listSecrets(tx, ids, clock.now()),
    /** True when this is the newest secret of the webhook. */
    secretMatches: secrets.matches,

    /** Makes a webhook. Without a given secret one is generated, and only this answer shows it. */
    async createWebhook(
      tx: Tx,
      input: {
        organization: string;
        url: string;
        events: readonly string[];
        description?: string | undefined;
        secret?: string | undefined;
        origin: Origin;
      },
    ): Promise<{ webhook: Webhook; secret: string }> {
      const { organization, origin, description } = input;
      const url = checkedUrl(input.url, allowPrivateNetworks);
      const events = checkedEvents(input.events);
      if ((await listWebhooks(tx, organization, '', maxWebhooks)).length >= maxWebhooks) {
        throw new AppError('kernel.conflict', {
          detail: `An organization has at most ${maxWebhooks} webhooks. Delete one, or let one hear more events.`,
        });
      }
      const now = clock.now();
      const webhook: Webhook = {
        id: random.id('wh'),
        organization,
        url,
        events,
        description,
        enabled: true,
        disabledReason: undefined,
        failingSince: undefined,
        createdAt: now,
        createdBy: origin.actor.id,
        updatedAt: now,
      };
      await insertWebhook(tx, webhook).catch(refuseTaken);
      const { secret } = await secrets.replace(tx, webhook, { secret: input.secret });
      // Only the origin: the path of an endpoint is often a credential of its receiver.
      const details = { origin: new URL(url).origin, events };
      await record(tx, 'webhook.created', { organization, id: webhook.id, origin }, details);
      return { webhook, secret };
    },

    /** Changes what is given. Another address, or enabling it, forgets how it failed; disabling gives up what waits. */
    async changeWebhook(
      tx: Tx,
      change: WebhookChange & {
        url?: string | undefined;
        events?: readonly string[] | undefined;
        description?: string | undefined;
        enabled?: boolean | undefined;
      },
    ): Promise<Webhook> {
      const before = await getForChange(tx, change);
      const enabled = change.enabled ?? before.enabled;
      const stopped = enabled ? undefined : (before.disabledReason ?? 'by_request');
      const after: Webhook = {
        ...before,
        url: change.url === undefined ? before.url : checkedUrl(change.url, allowPrivateNetworks),
        events: change.events === undefined ? before.events : checkedEvents(change.events),
        description: change.description ?? before.description,
        enabled,
        disabledReason: change.enabled === false ? 'by_request' : stopped,
        updatedAt: clock.now(),
      };
      const fields = ['url', 'events', 'description', 'enabled', 'disabledReason'] as const;
      const changed = fields.filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]));
      if (changed.length === 0) return before;
      const forgetHealth = changed.includes('url') || (enabled && !before.enabled);
      await updateWebhook(tx, after, { forgetHealth, now: after.updatedAt }).catch(refuseTaken);
      if (before.enabled && !enabled) await buryWaiting(tx, before.id, 'the webhook was disabled');
      const moved = changed.includes('url') ? { origin: new URL(after.url).origin } : {};
      await record(tx, 'webhook.updated', change, {
        changed: changed.filter((field) => field !== 'disabledReason'),
        events: after.events,
        ...moved,
      });
      return forgetHealth ? { ...after, failingSince: undefined } : after;
    },

    /** Removes a webhook with its deliveries. */
    async removeWebhook(tx: Tx, change: WebhookChange): Promise<void> {
      const webhook = await getForChange(tx, change);
      await deleteWebhook(tx, webhook.id);
      await record(tx, 'webhook.deleted', change, { origin: new URL(webhook.url).origin });
    },

    /** Gives the webhook another secret; the present one signs beside it for a time, so that a receiver can change over. */
    async rotateSecret(
      tx: Tx,
      change: WebhookChange & { overlapSeconds?: number | undefined; secret?: string | undefined },
    ): Promise<{ webhook: Webhook; secret: string; previousEndsAt: Date | undefined }> {
      const webhook = await getForChange(tx, change);
      const overlap = change.overlapSeconds ?? defaultOverlapSeconds;
      const previousEndsAt = overlap === 0 ? undefined : addSeconds(clock.now(), overlap);
      const { id, secret } = await secrets.replace(tx, webhook, { secret: change.secret, previousEndsAt });
      await record(tx, 'webhook.secret_rotated', change, {
        secret_id: id,
        ...(previousEndsAt === undefined ? {} : { previous_expires_at: previousEndsAt.toISOString() }),
      });
      return { webhook, secret, previousEndsAt };
    },

    /** Sends an event `webhook.test` to this webhook, whatever it listens to. */
    async sendTest(tx: Tx, change: WebhookChange): Promise<{ eventId: string; deliveryId: string }> {
      const webhook = await getEnabled(tx, change);
      const now = clock.now();
      const at = now.toISOString();
      const type = 'webhook.test';
      const data = { organization: webhook.organization, target: { type: 'webhook', id: webhook.id } };
      const event = { id: random.id('evt'), type, at, body: bodyOf(type, at, data) };
      const delivery = { id: random.id('del'), webhookId: webhook.id, eventId: event.id, due: true };
      await insertEvents(tx, [event], now);
      await insertDeliveries(tx, [delivery], now);
      await record(tx, 'webhook.tested', change);
      return { eventId: event.id, deliveryId: delivery.id };
    },

    /** Sends one delivery again, whatever became of it. */
    async replayDelivery(tx: Tx, change: WebhookChange & { deliveryId: string }) {
      const webhook = await getEnabled(tx, change);
      const found = await replayDelivery(tx, webhook.id, change.deliveryId, clock.now());
      const delivery = found ? await findDelivery(tx, webhook.id, change.deliveryId) : undefined;
      if (!delivery) throw new AppError('kernel.not_found', { detail: 'The webhook has no delivery with this id.' });
      await record(tx, 'webhook.replayed', change, { deliveries: 1 });
      return delivery;
    },

    /**
     * Sends again what was recorded in a time, the oldest first: the dead ones, or the delivered ones too. `continueFrom`
     * is where to go on when there is more than one request sends.
     */
    async replaySince(
      tx: Tx,
      change: WebhookChange & {
        from: Date;
        to: Date | undefined;
        states: readonly DeliveryState[];
        limit?: number | undefined;
      },
    ): Promise<{ count: number; continueFrom: Date | undefined }> {
      const webhook = await getEnabled(tx, change);
      const now = clock.now();
      const limit = change.limit ?? maxReplayed;
      // Not past the present: what is recorded while this runs needs no replay.
      const range = { from: change.from, to: change.to ?? addSeconds(now, 1), states: change.states, limit };
      const { count, last } = await replayDeliveries(tx, webhook.id, range, now);
      if (count > 0) await record(tx, 'webhook.replayed', change, { deliveries: count });
      return { count, continueFrom: count === limit ? last : undefined };
    },
  };
}

/** What {@link createWebhookService} gives. */
export type WebhookService = ReturnType<typeof createWebhookService>;

function notFound(): AppError {
  return new AppError('kernel.not_found', { detail: 'There is no webhook with this id.' });
}

function refuseTaken(error: unknown): never {
  if (isUniqueViolation(error, 'webhooks_organization_url_key')) {
    throw new AppError('kernel.conflict', { detail: 'A webhook of this address exists. Let it hear more events.' });
  }
  throw error;
}

/** The address in its one spelling. What a name resolves to is checked at each attempt; an address is refused here. */
function checkedUrl(text: string, allowed: readonly string[]): string {
  const url = URL.parse(text);
  const fix = 'use https, or let the operator name its exact origin in GATEHOUSE_ALLOW_PRIVATE_NETWORKS';
  if (!url || url.username !== '' || url.password !== '' || url.hash !== '') {
    throw invalidField('url', 'is not a URL without user name, password and fragment', fix);
  }
  if (allowed.includes(url.origin)) return url.href;
  if (url.protocol !== 'https:') throw invalidField('url', 'is not an https address', fix);
  const literal = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const isLiteral = /^[\d.]+$/.test(literal) || literal.includes(':');
  if (isLiteral && isPrivateAddress(literal)) throw invalidField('url', 'is a private address', fix);
  return url.href;
}

/** The patterns without repeats. */
function checkedEvents(patterns: readonly string[]): string[] {
  const unknown = unknownPatterns(patterns);
  if (unknown.length > 0) {
    throw invalidField('events', `names no event: ${unknown.join(', ')}`, 'GET /v1/webhooks/events lists all events');
  }
  return [...new Set(patterns)];
}
