import { AppError, type Clock, type Db, isAppError, type Origin, type Tx } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { operatorOrganization } from '../deps.ts';
import type { ResolvedRoles } from '../roles/role.ts';
import type { Roles } from '../roles/role-service.ts';
import { lockActiveUser } from '../sessions/session-store.ts';
import type { Membership, User } from '../users/user.ts';
import { usernameKey } from '../users/user-rules.ts';
import {
  findCredential,
  findPasswordHash,
  findUserForUpdate,
  listMemberships,
  noteSignIn,
  upgradePasswordHash,
} from '../users/user-store.ts';
import type { Passwords } from './passwords.ts';
import type { Attempt, Throttle } from './throttle.ts';

/** What somebody offers to sign in. */
export interface OfferedCredentials {
  username: string;
  password: string;
  /** For a member of several organizations: which one to act in; if absent, the one that has the account. */
  organization?: string | undefined;
  /** When that does not decide it, take the first: for a layer whose sessions act in all of a user's organizations. */
  anyOrganization?: boolean;
  origin: Origin;
  /** Record a success here (`user.signed_in`): for sign-ins whose session begins elsewhere, or never. */
  recordSuccess?: boolean;
}

/** Who it is, or the error to answer with (401, 400, 429 or 503), the same for accounts that exist and that do not. */
export type Verdict =
  | {
      readonly ok: true;
      readonly user: User;
      readonly membership: Membership;
      readonly roles: ResolvedRoles;
      /** The hash the password was checked against: see `isUnchanged`. */
      readonly passwordHash: string;
    }
  | { readonly ok: false; readonly error: AppError };

/** Creates the check of user name and password. */
export function createCredentials(deps: {
  db: Db;
  clock: Clock;
  audit: Pick<Audit, 'append'>;
  passwords: Pick<Passwords, 'verify'>;
  roles: Pick<Roles, 'resolve'>;
  signInThrottle: Throttle;
  reauthenticationThrottle: Throttle;
}) {
  const { db, clock, audit, passwords, roles, signInThrottle, reauthenticationThrottle } = deps;

  const refuse = (tx: Tx, origin: Origin, reason: string, user: User | undefined) =>
    audit.append(tx, {
      action: 'session.refused',
      // An unknown name has no organization; the name is not kept: people type their password there.
      organization: user?.organization ?? operatorOrganization,
      origin,
      outcome: 'failure',
      reason,
      ...(user ? { target: { type: 'user', id: user.uid } } : {}),
    });

  /** Why the right password does not help, and where it leads otherwise. */
  const choose = async (tx: Tx, user: User, { organization, anyOrganization = false }: OfferedCredentials) => {
    if (user.status !== 'active') return { reason: `user_${user.status}` };
    const memberships = await listMemberships(tx, user.uid);
    if (organization !== undefined) {
      const membership = memberships.find((one) => one.organization === organization);
      return membership ? { membership } : { reason: 'not_a_member' };
    }
    // Not asked for, the organization that has the account: or whoever makes others members would hold up their sign-in.
    const home = memberships.find((one) => one.organization === user.organization);
    if (home) return { membership: home };
    const [only, ...others] = memberships;
    if (!only) return { reason: 'not_a_member' };
    if (others.length === 0 || anyOrganization) return { membership: only };
    return { reason: 'organization_required', choices: memberships.map((one) => one.organization) };
  };

  const judge = async (offered: OfferedCredentials): Promise<Verdict> => {
    const { username, password, origin, recordSuccess = false } = offered;
    const key = usernameKey(username);
    const attempt: Attempt = { subject: key, address: origin.address };
    const found = key === '' ? undefined : await db.read((tx) => findCredential(tx, key));
    await signInThrottle.admit(attempt, (tx) => refuse(tx, origin, 'too_many_attempts', found?.user));
    const checked = await passwords.verify(found?.hash, password);
    return db.transaction(async (tx): Promise<Verdict> => {
      const now = clock.now();
      if (!found || !checked.ok || found.hash === undefined) {
        await noteSignIn(tx, found?.user.uid ?? '', now, false);
        await refuse(tx, origin, found ? 'wrong_password' : 'unknown_user', found?.user);
        return { ok: false, error: invalidCredentials() };
      }
      // Read again, behind whoever is changing the account: it may have been suspended, or got another password.
      await findUserForUpdate(tx, found.user.uid);
      const current = (await findCredential(tx, key)) ?? found;
      const stale = current.user.uid !== found.user.uid || current.hash !== found.hash;
      const choice = stale ? { reason: 'password_changed' } : await choose(tx, current.user, offered);
      const { membership } = choice;
      await noteSignIn(tx, found.user.uid, now, membership !== undefined);
      if (!membership) {
        await refuse(tx, origin, choice.reason ?? 'refused', current.user);
        if (!('choices' in choice)) return { ok: false, error: invalidCredentials() };
        await signInThrottle.succeeded(tx, attempt);
        return { ok: false, error: organizationRequired(choice.choices ?? []) };
      }
      await signInThrottle.succeeded(tx, attempt);
      if (checked.upgradedHash !== undefined) {
        await upgradePasswordHash(tx, found.user.uid, found.hash, checked.upgradedHash);
      }
      if (recordSuccess) {
        const { uid } = found.user;
        await audit.append(tx, {
          action: 'user.signed_in',
          organization: membership.organization,
          origin: { ...origin, actor: { type: 'user', id: uid } },
          target: { type: 'user', id: uid },
        });
      }
      const user = { ...current.user, last_login: now, last_login_attempt: now };
      return {
        ok: true,
        user,
        membership,
        passwordHash: checked.upgradedHash ?? found.hash,
        roles: await roles.resolve(tx, membership.organization, membership.role_ids),
      };
    });
  };

  return {
    /**
     * Checks user name and password: throttled, at the same cost for unknown names, recorded in the audit. Not inside
     * a transaction. `last_login` and `last_login_attempt` are kept; an imported hash becomes ours.
     */
    async verifyCredentials(offered: OfferedCredentials): Promise<Verdict> {
      try {
        return await judge(offered);
      } catch (error) {
        if (isAppError(error)) return { ok: false, error };
        throw error;
      }
    },
    /**
     * True while the account is active and has the password that was checked; it stays so until the transaction ends.
     * What a sign-in begins is begun behind this, or a password change beside it would leave it out.
     */
    async isUnchanged(tx: Tx, { uid, passwordHash }: { uid: string; passwordHash: string }): Promise<boolean> {
      return (await lockActiveUser(tx, uid)) && (await findPasswordHash(tx, uid)) === passwordHash;
    },
    /** Records a sign-in that was refused after the password was right. */
    recordRefusal: refuse,
    /**
     * The current password again, before something that matters; throws when it is not right. Own counters: guesses at
     * the sign-in do not hold it up. Returns the hash it was checked against, for a change that must not overtake another.
     */
    async reauthenticate(input: { uid: string; password: string; origin: Origin }): Promise<string> {
      const { uid, password, origin } = input;
      const attempt: Attempt = { subject: uid, address: origin.address };
      const record = (tx: Tx, reason: string) =>
        audit.append(tx, {
          action: 'user.reauthentication_refused',
          organization: origin.organization ?? operatorOrganization,
          origin,
          outcome: 'failure',
          reason,
          target: { type: 'user', id: uid },
        });
      await reauthenticationThrottle.admit(attempt, (tx) => record(tx, 'too_many_attempts'));
      const hash = await db.read((tx) => findPasswordHash(tx, uid));
      const { ok } = await passwords.verify(hash, password);
      await db.transaction((tx) =>
        ok ? reauthenticationThrottle.succeeded(tx, attempt) : record(tx, 'wrong_password'),
      );
      if (!ok || hash === undefined) {
        throw new AppError('identity.invalid_credentials', { detail: 'The current password is not right.' });
      }
      return hash;
    },
  };
}

/** The check of user name and password. */
export type Credentials = ReturnType<typeof createCredentials>;

function invalidCredentials(): AppError {
  return new AppError('identity.invalid_credentials', { detail: 'Check both and try again.' });
}

function organizationRequired(organizations: string[]): AppError {
  return new AppError('identity.organization_required', {
    detail: `Send "organization" with one of ${organizations.join(', ')}.`,
    errors: [{ field: 'organization', rule: 'is missing', fix: 'name the organization to act in' }],
    extensions: { organizations },
  });
}
