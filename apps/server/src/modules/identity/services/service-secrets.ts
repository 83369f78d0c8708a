import { createHash, timingSafeEqual } from 'node:crypto';
import {
  AppError,
  type Clock,
  invalidField,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { Service, ServiceSecret } from './service.ts';
import { assertClientSecret } from './service-rules.ts';
import { deleteSecretRow, insertSecret, listSecrets } from './service-store.ts';

/** Most secrets alive at once: the old one and its successor. */
export const maxSecrets = 2;

/** The secrets of services: 256 random bits, shown once, kept as SHA-256. */
export function createServiceSecrets({ clock, random }: { clock: Clock; random: Pick<Random, 'id' | 'bytes'> }) {
  const isLiving = (secret: ServiceSecret) => secret.expiresAt === undefined || secret.expiresAt > clock.now();
  const listOf = async (tx: Reader, serviceId: string) => (await listSecrets(tx, [serviceId])).get(serviceId) ?? [];

  return {
    /** Adds a secret, a given one or a new one, to a service whose row is locked. The expired ones go. */
    async add(
      tx: Tx,
      input: {
        service: Pick<Service, 'id'>;
        origin: Origin;
        secret?: string | undefined;
        expiresAt?: Date | undefined;
      },
    ): Promise<{ id: string; clientSecret: string; createdAt: Date }> {
      const { service, origin, secret: given, expiresAt } = input;
      if (given !== undefined) assertClientSecret(given);
      // A time that RFC 3339 can write need not exist (a leap second): then the comparison is false, and it is refused.
      if (expiresAt !== undefined && !(expiresAt > clock.now())) {
        throw invalidField('expires_at', 'is not in the future', 'leave it out for a secret without an end');
      }
      const present = await listOf(tx, service.id);
      for (const old of present.filter((secret) => !isLiving(secret))) await deleteSecretRow(tx, service.id, old.id);
      if (present.filter(isLiving).length >= maxSecrets) {
        throw new AppError('identity.too_many_secrets', { detail: 'Delete one of the two before you add another.' });
      }
      const clientSecret = given ?? Buffer.from(random.bytes(32)).toString('base64url');
      const id = random.id('sec');
      const createdAt = clock.now();
      const hash = hashOf(clientSecret);
      await insertSecret(tx, service.id, { id, hash, createdAt, createdBy: origin.actor.id, expiresAt });
      return { id, clientSecret, createdAt };
    },
    /** True for a living secret of the service; compared in constant time. */
    async verify(tx: Reader, serviceId: string, secret: string): Promise<boolean> {
      const given = hashOf(secret);
      let right = false;
      for (const { hash } of (await listOf(tx, serviceId)).filter(isLiving)) {
        if (hash.length === given.length && timingSafeEqual(hash, given)) right = true;
      }
      return right;
    },
  };
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
