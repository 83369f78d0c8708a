import { encodeBase64Url } from '@gatehouse/crypto';
import {
  AppError,
  addSeconds,
  type Clock,
  createGroupCommit,
  type Db,
  isAppError,
  type Origin,
  type Outcome,
  type Random,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit, NewEntry } from '../../audit/index.ts';
import type { Keys } from '../../keys/index.ts';
import {
  defaultDestroyDelaySeconds,
  maxDestroyDelaySeconds,
  type SecretSubject,
  secretBytes,
  type UserSecret,
} from './user-secret.ts';
import {
  type FoundSecret,
  findSecretForUpdate,
  findSecretsForRelease,
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
  audit: Pick<Audit, 'append' | 'appendAll'>;
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

interface ReleaseRequest {
  readonly whose: SecretSubject;
  readonly releases: readonly Release[];
  readonly origin: Origin;
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

  /** The entries of one release: one for each service that gets the secret. */
  const releaseEntries = ({ whose, releases, origin }: ReleaseRequest, secret: UserSecret): NewEntry[] =>
    releases.map((release) => ({
      action: 'secret.released',
      organization: whose.organization,
      origin,
      target: { type: 'secret', id: secret.id },
      ...(release.reason === undefined ? {} : { reason: release.reason }),
      details: {
        issuer: whose.issuer,
        subject: whose.subject,
        service: release.service,
        audience: release.audience,
        kid: release.keyIds.join(' '),
        token_id: release.tokenId,
      },
    }));

  const release = createGroupCommit<ReleaseRequest, string>(db, async (tx, requests) => {
    const found = await findSecretsForRelease(
      tx,
      requests.map(({ whose }) => whose),
    );
    const missing = requests.filter((_, index) => found[index] === undefined);
    for (const { whose, origin } of missing) await createSecret(tx, whose, origin);
    const secrets =
      missing.length === 0
        ? found
        : await findSecretsForRelease(
            tx,
            requests.map(({ whose }) => whose),
          );
    const outcomes = await Promise.all(secrets.map((one) => open(tx, one)));
    await audit.appendAll(
      tx,
      requests.flatMap((request, index) => {
        const secret = secrets[index]?.secret;
        return secret && 'value' in (outcomes[index] ?? {}) ? releaseEntries(request, secret) : [];
      }),
    );
    return outcomes;
  });

  /** Opens one secret. That it is destroyed, or does not open, concerns only who asked for it. */
  const open = async (tx: Tx, found: FoundSecret | undefined): Promise<Outcome<string>> => {
    if (!found || found.secret.status !== 'active' || found.sealed === undefined) {
      const detail = 'The secret of this user is destroyed, or its destruction is scheduled.';
      return { error: new AppError('secrets.destroyed', { detail }) };
    }
    try {
      return { value: encodeBase64Url(await keys.open(tx, placeOf(found.secret), found.sealed)) };
    } catch (error) {
      if (isAppError(error, 'keys.cannot_open')) return { error };
      throw error;
    }
  };

  /**
   * Opens the secret of a subject for services that are about to get it sealed, and records the release in the same
   * transaction: no record, no secret. The first release makes the secret. A secret that cannot be opened is an
   * error, never a reason to make another. Releases that come in a crowd share a transaction.
   * @returns the secret in base64url without padding, as the original STS had it
   */
  const releaseSecret = (whose: SecretSubject, releases: readonly Release[], origin: Origin): Promise<string> =>
    release({ whose, releases, origin });

  return {
    releaseSecret,

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
