import { secretFingerprint } from '@gatehouse/configuration';
import {
  canonicalJson,
  decodeBase64Url,
  encodeBase64Url,
  parseJsonObjectStrict,
  type SealPlace,
} from '@gatehouse/crypto';
import {
  AppError,
  type Clock,
  isAppError,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { Granter, Identity, Service } from '../../identity/index.ts';
import type { Keys } from '../../keys/index.ts';
import type { Namespace } from '../namespaces/namespace.ts';
import type { OpenedSecret } from '../values/secret-values.ts';
import type { RefreshQueue } from '../versions/refresh-queue.ts';
import { findClientSecret, lockClientSecret, putClientSecret } from './client-secret-store.ts';
import { listReferring } from './reference-store.ts';

/** A service's own client secret, opened, with the fingerprint that it has in every namespace. */
export interface ManagedSecret extends OpenedSecret {
  readonly fingerprint: string;
}

type Owner = Pick<Namespace, 'organization' | 'serviceId'> & { readonly service: string };
type ServiceOf = Pick<Service, 'id' | 'organization' | 'name'>;

/**
 * The client secrets that `{"$client": "secret"}` stands for. The services module keeps hashes only, so the first
 * reference adds a secret to the service and keeps it here, sealed. A secret that is added later takes its place, and
 * what refers to it is published anew; the one in use cannot be deleted.
 */
export function createClientSecrets(deps: {
  keys: Pick<Keys, 'seal' | 'open'>;
  clock: Clock;
  random: Pick<Random, 'bytes'>;
  services: Pick<Identity['services'], 'addSecret'>;
  queue: Pick<RefreshQueue, 'refresh'>;
}) {
  const { keys, clock, random, services, queue } = deps;

  const keep = async (tx: Tx, service: ServiceOf, secretId: string, value: string): Promise<void> => {
    const content = canonicalJson({ salt: encodeBase64Url(random.bytes(32)), value });
    const place = placeOf(service.organization, service.id, secretId);
    const sealed = await keys.seal(tx, place, new TextEncoder().encode(content));
    const { id: serviceId, organization } = service;
    await putClientSecret(tx, { serviceId, secretId, organization, sealed, createdAt: clock.now() });
  };

  return {
    /**
     * Sees to it that the service has a secret to be referred to. The first time, that changes the service: it takes the
     * right to. Before any lock on a namespace: the service's row is locked.
     */
    async ensure(tx: Tx, namespace: Owner, by: { granter: Granter | undefined; origin: Origin }): Promise<void> {
      if (await findClientSecret(tx, namespace.serviceId)) return;
      await lockClientSecret(tx, namespace.serviceId);
      if (await findClientSecret(tx, namespace.serviceId)) return;
      const { granter, origin } = by;
      if (!granter || (granter !== 'system' && !granter.operator && !granter.permissions.has('services:write'))) {
        throw new AppError('kernel.forbidden', {
          detail:
            'The first {"$client": "secret"} adds a secret to the service: that needs the permission services:write.',
        });
      }
      const { organization, service: name, serviceId: id } = namespace;
      try {
        const added = await services.addSecret(tx, { organization, name, granter, origin });
        await keep(tx, { id, organization, name }, added.id, added.clientSecret);
      } catch (error) {
        if (!isAppError(error, 'identity.too_many_secrets')) throw error;
        throw new AppError('identity.too_many_secrets', {
          detail: `{"$client": "secret"} needs a secret of its own, and the service ${name} has two. Delete the one that is not used any more, then publish again.`,
        });
      }
    },

    /** The secret that namespaces of the service get; undefined before {@link ensure}. */
    async open(tx: Reader, serviceId: string): Promise<ManagedSecret | undefined> {
      const row = await findClientSecret(tx, serviceId);
      if (!row) return undefined;
      const plaintext = await keys.open(tx, placeOf(row.organization, row.serviceId, row.secretId), row.sealed);
      const { salt, value } = parseJsonObjectStrict(plaintext) as { salt: string; value: string };
      const bytes = decodeBase64Url(salt);
      return { salt: bytes, value, fingerprint: secretFingerprint(bytes, value) };
    },

    /** A secret was added to a service, whose row is locked. One that ends by itself is not taken. */
    async secretAdded(
      tx: Tx,
      service: ServiceOf,
      secret: { id: string; clientSecret: string; expiresAt: Date | undefined },
    ): Promise<void> {
      if (secret.expiresAt !== undefined || !(await findClientSecret(tx, service.id))) return;
      const target = { kind: 'client', target: service.id } as const;
      const referring = await listReferring(tx, target, { limit: 200 });
      if (referring.length === 0) return;
      await keep(tx, service, secret.id, secret.clientSecret);
      for (const { id } of referring) await queue.refresh(tx, id, { client_secret: secret.id });
    },

    /** Refuses, with 409, to delete the secret that instances are given. */
    async assertNotUsed(tx: Tx, service: ServiceOf, secretId: string): Promise<void> {
      const row = await findClientSecret(tx, service.id);
      if (row?.secretId !== secretId) return;
      const referring = await listReferring(tx, { kind: 'client', target: service.id }, { limit: 5 });
      if (referring.length === 0) return;
      const names = referring.map((one) => one.name).join(', ');
      throw new AppError('configuration.client_secret_in_use', {
        detail: `The configuration of ${names} gives this secret to instances. Add another one first: they are published anew with it, and then this one can go.`,
      });
    },
  };
}

/** What {@link createClientSecrets} gives. */
export type ClientSecrets = ReturnType<typeof createClientSecrets>;

function placeOf(organization: string, serviceId: string, secretId: string): SealPlace {
  return { organization, schema: 'configuration', table: 'client_secrets', rowId: serviceId, owner: secretId };
}
