import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { DisabledReason, Webhook, WebhookSecret } from './webhook.ts';

interface WebhookRow {
  id: string;
  organization: string;
  url: string;
  events: string[];
  description: string | null;
  enabled: boolean;
  disabled_reason: DisabledReason | null;
  failing_since: Date | null;
  created_at: Date;
  created_by: string;
  updated_at: Date;
}
const columns =
  'id, organization, url, events, description, enabled, disabled_reason, failing_since, created_at, created_by, updated_at';

/** The newest position of the trail: entries at or before it were written before whatever is written next. */
const newestPosition = '(select coalesce(max(position), 0) from audit.entries)';

const insertStatement = {
  name: 'webhooks_insert',
  text: `insert into audit.webhooks
      (id, organization, url, events, description, enabled, from_position, created_at, created_by, updated_at)
    values ($1, $2, $3, $4, $5, true, ${newestPosition}, $6, $7, $6)`,
};
/** Makes a webhook that hears of what is written from now on. */
export async function insertWebhook(
  tx: Tx,
  webhook: Pick<Webhook, 'id' | 'organization' | 'url' | 'events' | 'description' | 'createdAt' | 'createdBy'>,
): Promise<void> {
  const { id, organization, url, events, description, createdAt, createdBy } = webhook;
  await named(tx, insertStatement, [id, organization, url, [...events], description ?? null, createdAt, createdBy]);
}

const findStatement = {
  name: 'webhooks_find',
  text: `select ${columns} from audit.webhooks where organization = $1 and id = $2`,
};
/** The webhook of this organization. */
export async function findWebhook(tx: Reader, organization: string, id: string): Promise<Webhook | undefined> {
  return (await named<WebhookRow>(tx, findStatement, [organization, id])).map(toWebhook)[0];
}

const lockStatement = { name: 'webhooks_lock', text: `${findStatement.text} for no key update` };
/** The webhook, locked. Whoever changes a webhook and its deliveries takes this lock first. */
export async function findWebhookForUpdate(tx: Tx, organization: string, id: string): Promise<Webhook | undefined> {
  return (await named<WebhookRow>(tx, lockStatement, [organization, id])).map(toWebhook)[0];
}

const listStatement = {
  name: 'webhooks_list',
  text: `select ${columns} from audit.webhooks where organization = $1 and id > $2 order by id limit $3`,
};
/** Webhooks of an organization, by id, so in the order in which they were made. */
export async function listWebhooks(tx: Reader, organization: string, afterId: string, limit: number) {
  return (await named<WebhookRow>(tx, listStatement, [organization, afterId, limit])).map(toWebhook);
}

const updateStatement = {
  name: 'webhooks_update',
  text: `update audit.webhooks set url = $2, events = $3, description = $4, enabled = $5, disabled_reason = $6,
      from_position = case when $5 and disabled_reason = 'by_request' then ${newestPosition} else from_position end,
      failures = case when $7 then 0 else failures end,
      failing_since = case when $7 then null else failing_since end,
      held_until = case when $7 then null else held_until end, updated_at = $8
    where id = $1`,
};
/** Writes what may change. `forgetHealth`: the endpoint is another one, or is given another chance. */
export async function updateWebhook(
  tx: Tx,
  webhook: Pick<Webhook, 'id' | 'url' | 'events' | 'description' | 'enabled' | 'disabledReason'>,
  { forgetHealth, now }: { forgetHealth: boolean; now: Date },
): Promise<void> {
  const { id, url, events, description, enabled, disabledReason } = webhook;
  const values = [id, url, [...events], description ?? null, enabled, disabledReason ?? null, forgetHealth, now];
  await named(tx, updateStatement, values);
}

const deleteStatement = { name: 'webhooks_delete', text: 'delete from audit.webhooks where id = $1' };
/** Removes the webhook with its secrets and deliveries. */
export async function deleteWebhook(tx: Tx, id: string): Promise<void> {
  await named(tx, deleteStatement, [id]);
}

const failedStatement = {
  name: 'webhooks_note_failure',
  text: `update audit.webhooks set failures = failures + 1, failing_since = coalesce(failing_since, $2)
    where id = $1 and enabled returning failures, failing_since, organization`,
};
/** Notes that an attempt failed, and locks the webhook; undefined when it is not enabled any more. */
export async function noteFailure(tx: Tx, id: string, now: Date) {
  const [row] = await named<{ failures: number; failing_since: Date; organization: string }>(tx, failedStatement, [
    id,
    now,
  ]);
  return row && { failures: row.failures, failingSince: row.failing_since, organization: row.organization };
}

const holdStatement = { name: 'webhooks_hold', text: 'update audit.webhooks set held_until = $2 where id = $1' };
/** Leaves the endpoint alone until then. */
export async function holdWebhook(tx: Tx, id: string, until: Date): Promise<void> {
  await named(tx, holdStatement, [id, until]);
}

const succeededStatement = {
  name: 'webhooks_note_success',
  text: `update audit.webhooks set failures = 0, failing_since = null, held_until = null where id = $1 and failures > 0`,
};
/** Notes that an attempt succeeded; writes only when the endpoint had failed before. */
export async function noteSuccess(tx: Tx, id: string): Promise<void> {
  await named(tx, succeededStatement, [id]);
}

const disableStatement = {
  name: 'webhooks_disable',
  text: 'update audit.webhooks set enabled = false, disabled_reason = $2, updated_at = $3 where id = $1',
};
/** Sends nothing to it any more. */
export async function disableWebhook(tx: Tx, id: string, reason: DisabledReason, now: Date): Promise<void> {
  await named(tx, disableStatement, [id, reason, now]);
}

const insertSecretStatement = {
  name: 'webhooks_insert_secret',
  text: 'insert into audit.webhook_secrets (id, webhook_id, sealed, created_at) values ($1, $2, $3, $4)',
};
/** Adds a secret without an end. */
export async function insertSecret(
  tx: Tx,
  secret: { id: string; webhookId: string; sealed: Uint8Array; createdAt: Date },
): Promise<void> {
  await named(tx, insertSecretStatement, [secret.id, secret.webhookId, secret.sealed, secret.createdAt]);
}

const endSecretsStatement = {
  name: 'webhooks_end_secrets',
  text: `with gone as (
      delete from audit.webhook_secrets where webhook_id = $1 and (expires_at is not null or $2::timestamptz is null))
    update audit.webhook_secrets set expires_at = $2 where webhook_id = $1 and expires_at is null and $2 is not null`,
};
/** Ends the present secret at a time, or now when there is none; what was ending before it is gone. */
export async function endSecrets(tx: Tx, webhookId: string, expiresAt: Date | undefined): Promise<void> {
  await named(tx, endSecretsStatement, [webhookId, expiresAt ?? null]);
}

const listSecretsStatement = {
  name: 'webhooks_list_secrets',
  text: `select id, webhook_id, sealed, created_at, expires_at from audit.webhook_secrets
    where webhook_id = any ($1) and (expires_at is null or expires_at > $2) order by created_at desc, id desc`,
};
/** The valid secrets of webhooks, the newest of each first. */
export async function listSecrets(
  tx: Reader,
  webhookIds: readonly string[],
  now: Date,
): Promise<Map<string, (WebhookSecret & { readonly sealed: Uint8Array })[]>> {
  const rows = await named<{
    id: string;
    webhook_id: string;
    sealed: Buffer;
    created_at: Date;
    expires_at: Date | null;
  }>(tx, listSecretsStatement, [[...webhookIds], now]);
  return new Map(
    webhookIds.map((webhookId) => [
      webhookId,
      rows
        .filter((row) => row.webhook_id === webhookId)
        .map((row) => ({
          id: row.id,
          sealed: row.sealed,
          createdAt: row.created_at,
          expiresAt: row.expires_at ?? undefined,
        })),
    ]),
  );
}

function toWebhook(row: WebhookRow): Webhook {
  return {
    id: row.id,
    organization: row.organization,
    url: row.url,
    events: row.events,
    description: row.description ?? undefined,
    enabled: row.enabled,
    disabledReason: row.disabled_reason ?? undefined,
    failingSince: row.failing_since ?? undefined,
    createdAt: row.created_at,
    createdBy: row.created_by,
    updatedAt: row.updated_at,
  };
}
