import { encodeBase64Url } from '@gatehouse/crypto';
import { AppError, addSeconds, type Clock, type Db, type Origin, type Random, type Tx } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Keys } from '../../keys/index.ts';
import {
  defaultDestroyDelaySeconds,
  maxDestroyDelaySeconds,
  type SecretSubject,
  secretBytes,
  type UserSecret,
} from './user-secret.ts';
import {
  findSecretForRelease,
  findSecretForUpdate,
  insertSecret,
  listDueForUpdate,
  updateSecretDestroyed,
  updateSecretRestored,
  updateSecretScheduled,
} from './user-secret-store.ts';

interface UserSecretDeps {
  db: Db;
  clock: Clock;
  random: Random;
  audit: Pick<Audit, 'append'>;
  keys: Pick<Keys, 'seal' | 'open'>;
}

/** To whom a secret is released, for the audit. */
export interface Release {
  readonly service: string;
  readonly audience: string;
  /** Key ids the release is sealed to. */
  readonly keyIds: readonly string[];
  /** The `jti` of the token that carries it, when one does. */
  readonly tokenId?: string | undefined;
  readonly reason?: string | undefined;
}

/** The life of user secrets: made at the first release, opened only inside a release, destroyed for good. */
export function createUserSecrets({ db, clock, random, audit, keys }: UserSecretDeps) {
  const placeOf = (secret: Pick<UserSecret, 'id'> & SecretSubject) => ({
    organization: secret.organization,
    schema: 'secrets',
    table: 'user_secrets',
    rowId: secret.id,
    owner: `${secret.issuer} ${secret.subject}`,
  });

  /** Makes the secret of a subject that has none. When another node was quicker, that one counts. */
  const createSecret = async (tx: Tx, whose: SecretSubject, origin: Origin): Promise<void> => {
    const secret: UserSecret = { id: random.id('sec'), ...whose, status: 'active', createdAt: clock.now() };
    const sealed = await keys.seal(tx, placeOf(secret), random.bytes(secretBytes));
    if (!(await insertSecret(tx, secret, sealed))) return;
    await audit.append(tx, {
      action: 'secret.created',
      organization: whose.organization,
      origin,
      target: { type: 'secret', id: secret.id },
      details: { issuer: whose.issuer, subject: whose.subject },
    });
  };

  const destroyNow = async (tx: Tx, secret: UserSecret, origin: Origin, reason?: string): Promise<UserSecret> => {
    const destroyedAt = clock.now();
    await updateSecretDestroyed(tx, secret.id, destroyedAt);
    await audit.append(tx, {
      action: 'secret.destroyed',
      organization: secret.organization,
      origin,
      target: { type: 'secret', id: secret.id },
      ...(reason === undefined ? {} : { reason }),
      details: { issuer: secret.issuer, subject: secret.subject },
    });
    const { destroyAt: _, ...rest } = secret;
    return { ...rest, status: 'destroyed', destroyedAt };
  };

  return {
    /**
     * Opens the secret of a subject for services that are about to get it sealed, and records the release in the same
     * transaction: no record, no secret. The first release makes the secret. A secret that cannot be opened is an
     * error, never a reason to make another.
     * @returns the secret in base64url without padding, as the original STS had it
     */
    async releaseSecret(whose: SecretSubject, releases: readonly Release[], origin: Origin): Promise<string> {
      return db.transaction(async (tx) => {
        let found = await findSecretForRelease(tx, whose);
        if (!found) {
          await createSecret(tx, whose, origin);
          found = await findSecretForRelease(tx, whose);
        }
        if (!found || found.secret.status !== 'active' || found.sealed === undefined) {
          throw new AppError('secrets.destroyed', {
            detail: 'The secret of this user is destroyed, or its destruction is scheduled.',
          });
        }
        const value = await keys.open(tx, placeOf(found.secret), found.sealed);
        for (const release of releases) {
          await audit.append(tx, {
            action: 'secret.released',
            organization: whose.organization,
            origin,
            target: { type: 'secret', id: found.secret.id },
            ...(release.reason === undefined ? {} : { reason: release.reason }),
            details: {
              issuer: whose.issuer,
              subject: whose.subject,
              service: release.service,
              audience: release.audience,
              kid: release.keyIds.join(' '),
              token_id: release.tokenId,
            },
          });
        }
        return encodeBase64Url(value);
      });
    },

    /** Schedules the destruction of a secret; from now on it is not released. A delay of 0 is final at once. */
    async destroySecret(
      tx: Tx,
      input: { organization: string; id: string; delaySeconds?: number | undefined; reason?: string | undefined },
      origin: Origin,
    ): Promise<UserSecret> {
      const secret = await getForUpdate(tx, input.organization, input.id);
      const delaySeconds = input.delaySeconds ?? defaultDestroyDelaySeconds;
      if (delaySeconds < 0 || delaySeconds > maxDestroyDelaySeconds) {
        throw new RangeError(`delaySeconds must be from 0 to ${maxDestroyDelaySeconds}`);
      }
      if (delaySeconds === 0) return destroyNow(tx, secret, origin, input.reason);
      const destroyAt = addSeconds(clock.now(), delaySeconds);
      await updateSecretScheduled(tx, secret.id, destroyAt);
      await audit.append(tx, {
        action: 'secret.destruction_scheduled',
        organization: secret.organization,
        origin,
        target: { type: 'secret', id: secret.id },
        ...(input.reason === undefined ? {} : { reason: input.reason }),
        details: { issuer: secret.issuer, subject: secret.subject, destroy_at: destroyAt.toISOString() },
      });
      return { ...secret, status: 'scheduled', destroyAt };
    },

    /** Takes a scheduled destruction back while it is not final. */
    async restoreSecret(tx: Tx, organization: string, id: string, origin: Origin): Promise<UserSecret> {
      const secret = await getForUpdate(tx, organization, id);
      if (secret.status === 'active') return secret;
      await updateSecretRestored(tx, id);
      await audit.append(tx, {
        action: 'secret.restored',
        organization,
        origin,
        target: { type: 'secret', id },
        details: { issuer: secret.issuer, subject: secret.subject },
      });
      const { destroyAt: _, ...rest } = secret;
      return { ...rest, status: 'active' };
    },

    /** Makes the destructions final that are due. Any number of nodes may run it at once. */
    async destroyDueSecrets(): Promise<number> {
      return db.transaction(async (tx) => {
        const due = await listDueForUpdate(tx, clock.now(), 100);
        for (const secret of due) await destroyNow(tx, secret, { actor: { type: 'system', id: 'gatehouse' } });
        return due.length;
      });
    },
  };

  async function getForUpdate(tx: Tx, organization: string, id: string): Promise<UserSecret> {
    const secret = await findSecretForUpdate(tx, organization, id);
    if (!secret) throw new AppError('kernel.not_found', { detail: 'There is no such secret in this organization.' });
    if (secret.status === 'destroyed') {
      throw new AppError('secrets.destroyed', { detail: 'The secret is destroyed for good.' });
    }
    return secret;
  }
}

/** What {@link createUserSecrets} gives. */
export type UserSecrets = ReturnType<typeof createUserSecrets>;
