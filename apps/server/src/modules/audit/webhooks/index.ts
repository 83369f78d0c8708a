/**
 * Webhooks: endpoints of organizations are told of what happened, signed as Standard Webhooks 1.0.0 say, at least once.
 * A part of the audit trail, because the trail is the outbox: an entry is written in the transaction of what it records,
 * and the relay turns sealed entries into deliveries, in their order, each once.
 *
 * Tables: `audit.webhooks`, `audit.webhook_secrets` (sealed), `audit.webhook_events` (what is sent),
 * `audit.webhook_deliveries`, `audit.webhook_cursor`.
 *
 * Invariants kept here: nothing is done for webhooks on the path of the change itself; an event is sent if and only if
 * its transaction committed; a webhook hears of everything written after the answer that made it; a killed node loses
 * no delivery; a payload holds only the details that the table of events names; a slow endpoint holds up nobody else.
 *
 * Elsewhere: the table of events (`packages/contracts/src/events.ts`), sealing (`keys`, handed in as functions), the
 * guarded client (kernel). Decision: docs/decisions/0013-webhooks.md.
 */
import {
  type App,
  addSeconds,
  type Clock,
  createGuardedFetch,
  type Db,
  type Jobs,
  type Logger,
  type Metrics,
  type Random,
} from '../../../kernel/index.ts';
import type { AppendEntry } from './audit-trail.ts';
import { deliveryRoutes } from './delivery-routes.ts';
import { purgeEvents } from './delivery-store.ts';
import { createRelay } from './relay.ts';
import { lookForWork } from './relay-store.ts';
import { createSender } from './sender.ts';
import type { SecretSealing } from './webhook.ts';
import { webhookRoutes } from './webhook-routes.ts';
import { createWebhookSecrets } from './webhook-secrets.ts';
import { createWebhookService } from './webhook-service.ts';

export type { Webhook } from './webhook.ts';

/** What webhooks need. `sealing` comes from the keys module, which is above this one. */
export interface WebhooksDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'registry'>;
  readonly jobs: Pick<Jobs, 'cron'>;
  readonly audit: { readonly append: AppendEntry; readonly onSealed: (listener: () => void) => void };
  readonly sealing: SecretSealing;
  readonly settings: {
    /** Exact origins at private addresses that may be called. */
    readonly allowPrivateNetworks: readonly string[];
  };
}

/** How often a node looks for work that another node left: relaying, retries, replays. */
const intervalMs = 500;
/** How long deliveries are kept. */
const keepSeconds = 30 * 24 * 3600;
const purgeBatch = 2000;

/** Creates the webhooks of this node; `start` begins telling. */
export function createWebhooks(deps: WebhooksDeps) {
  const { db, clock, log, jobs, audit } = deps;
  const { allowPrivateNetworks } = deps.settings;
  const fetch = createGuardedFetch({ allowedOrigins: allowPrivateNetworks });
  const secrets = createWebhookSecrets(deps);
  const service = createWebhookService({ ...deps, append: audit.append, secrets, allowPrivateNetworks });
  const relayPending = createRelay(deps);
  const sender = createSender({ ...deps, append: audit.append, fetch, secrets });
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let lastFailure: string | undefined;

  const round = async () => {
    try {
      const { unread, due } = await db.read((tx) => lookForWork(tx, clock.now()));
      const recorded = unread ? await relayPending() : 0;
      if (due || recorded > 0) await sender.pump();
      if (lastFailure !== undefined) log.info({ component: 'webhooks' }, 'telling webhooks works again');
      lastFailure = undefined;
    } catch (error) {
      // Nothing is lost: the trail and the deliveries are stored. Said once, not twice a second.
      const message = error instanceof Error ? error.message : String(error);
      if (message !== lastFailure)
        log.error({ err: error, component: 'webhooks' }, 'telling webhooks failed; trying again');
      lastFailure = message;
    }
  };

  /** One round at a time; who asks during one gets another after it. */
  const look = () => {
    if (timer === undefined) return;
    if (running) {
      again = true;
      return;
    }
    running = round().finally(() => {
      running = undefined;
      if (!again) return;
      again = false;
      look();
    });
  };

  /** Forgets what is older than 30 days, a batch at a time. */
  const purge = async () => {
    const before = addSeconds(clock.now(), -keepSeconds);
    while ((await db.transaction((tx) => purgeEvents(tx, before, purgeBatch))) === purgeBatch);
  };
  jobs.cron('webhooks-purge', '23 * * * *', purge);
  audit.onSealed(look);

  return {
    ...service,
    /** Records deliveries for all that is sealed; returns how many this call recorded. */
    relayPending,
    purge,
    routes(app: App): void {
      webhookRoutes({ db, webhooks: service })(app);
      deliveryRoutes({ db, webhooks: service, wake: look })(app);
    },
    async start(): Promise<void> {
      timer = setInterval(look, intervalMs);
      timer.unref();
      look();
    },
    /** Begins nothing more and waits for what is under way. */
    async stop(): Promise<void> {
      clearInterval(timer);
      timer = undefined;
      await running;
      await sender.stop();
    },
  };
}

/** What {@link createWebhooks} gives. */
export type Webhooks = ReturnType<typeof createWebhooks>;
