import { timingSafeEqual } from 'node:crypto';
import { type Clock, invalidField, type Random, type Reader, type Tx } from '../../../kernel/index.ts';
import { readSecret, writeSecret } from './signature.ts';
import type { SecretPlace, SecretSealing, Webhook } from './webhook.ts';
import { endSecrets, insertSecret, listSecrets } from './webhook-store.ts';

type Owner = Pick<Webhook, 'id' | 'organization'>;

/** The signing secrets of webhooks: 256 random bits, shown once, sealed at rest, at most two valid at a time. */
export function createWebhookSecrets(deps: {
  clock: Clock;
  random: Pick<Random, 'id' | 'bytes'>;
  sealing: SecretSealing;
}) {
  const { clock, random, sealing } = deps;

  return {
    /** Adds a secret, a given one or a new one; the present one goes on signing beside it until `previousEndsAt`, or ends now. */
    async replace(
      tx: Tx,
      owner: Owner,
      { secret: given, previousEndsAt }: { secret?: string | undefined; previousEndsAt?: Date | undefined } = {},
    ): Promise<{ id: string; secret: string }> {
      const bytes = given === undefined ? random.bytes(32) : readSecret(given);
      if (!bytes) {
        throw invalidField(
          'secret',
          'is not a webhook secret',
          'use whsec_ and base64 of 24 to 64 random bytes: echo "whsec_$(openssl rand -base64 32)"',
        );
      }
      await endSecrets(tx, owner.id, previousEndsAt);
      const id = random.id('whs');
      const sealed = await sealing.seal(tx, placeOf(owner, id), bytes);
      await insertSecret(tx, { id, webhookId: owner.id, sealed, createdAt: clock.now() });
      return { id, secret: writeSecret(bytes) };
    },
    /** The valid secrets, the newest first. */
    async openValid(tx: Reader, owner: Owner): Promise<Uint8Array[]> {
      const valid = (await listSecrets(tx, [owner.id], clock.now())).get(owner.id) ?? [];
      const opened: Uint8Array[] = [];
      for (const { id, sealed } of valid) opened.push(await sealing.open(tx, placeOf(owner, id), sealed));
      return opened;
    },
    /** True when this is the newest secret; compared in constant time. */
    async matches(tx: Reader, owner: Owner, secret: string): Promise<boolean> {
      const given = readSecret(secret);
      const [newest] = (await listSecrets(tx, [owner.id], clock.now())).get(owner.id) ?? [];
      if (!given || !newest) return false;
      const present = await sealing.open(tx, placeOf(owner, newest.id), newest.sealed);
      return present.length === given.length && timingSafeEqual(present, given);
    },
  };
}

/** What {@link createWebhookSecrets} gives. */
export type WebhookSecrets = ReturnType<typeof createWebhookSecrets>;

function placeOf({ id, organization }: Owner, secretId: string): SecretPlace {
  return { organization, schema: 'audit', table: 'webhook_secrets', rowId: secretId, owner: id };
}
