import {
  AppError,
  type Clock,
  isUniqueViolation,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { type Granter, operatorOrganization } from '../deps.ts';
import { parseHash } from '../passwords/password-hash.ts';
import type { ResolvedRoles } from '../roles/role.ts';
import { assertCovers } from '../roles/role-rules.ts';
import type { Roles } from '../roles/role-service.ts';
import { isOrganization } from '../tokens/subject-store.ts';
import type { Membership, User, UserStatus } from './user.ts';
import { assertUid, assertUsername, usernameKey } from './user-rules.ts';
import {
  countOtherOperators,
  findMembership,
  findPasswordHash,
  findUser,
  findUserByKey,
  findUserForUpdate,
  insertSubjectRow,
  insertUser,
  listMemberships,
  listUsers,
  lockOperators,
  updateUsername,
  updateUserStatus,
  upsertMembership,
  upsertPasswordHash,
} from './user-store.ts';

/** Ends sessions, refresh tokens and grants of a user everywhere; handed in by the front door. */
export type RevokeAllOfUser = (
  tx: Tx,
  uid: string,
  reason: string,
  options: { origin: Origin; exceptSessionId?: string },
) => Promise<void>;

/** An account to be made. Hash the password before the transaction (`passwords.hashNew`). */
export interface NewUser {
  organization: string;
  username: string;
  uid?: string | undefined;
  /** Ours, or an imported bcrypt, scrypt or PBKDF2 hash. Without one the account has no password. */
  passwordHash?: string | undefined;
  /** Names of roles of the organization. */
  roles: readonly string[];
  granter: Granter;
  origin: Origin;
}

/** Which account is changed, in which organization, and by whom. */
export interface UserChange {
  organization: string;
  uid: string;
  granter: Granter;
  origin: Origin;
}

/** The accounts. */
export interface Users {
  findUser(tx: Reader, uid: string): Promise<User | undefined>;
  findUserByUsername(tx: Reader, username: string): Promise<User | undefined>;
  findMembership(tx: Reader, organization: string, uid: string): Promise<Membership | undefined>;
  listMemberships(tx: Reader, uid: string): Promise<Membership[]>;
  /** The account as a member of the organization; 404 for one of another organization. */
  getMember(tx: Reader, organization: string, uid: string): Promise<{ user: User; membership: Membership }>;
  /** Every member of an organization, by user name. */
  listMembers(tx: Reader, organization: string): Promise<(User & { role_ids: string[] })[]>;
  createUser(tx: Tx, input: NewUser): Promise<User>;
  renameUser(tx: Tx, change: UserChange & { username: string }): Promise<User>;
  setRoles(tx: Tx, change: UserChange & { roles: readonly string[] }): Promise<Membership>;
  /** Makes an account of another organization a member of this one: for operators and the declaration. */
  addMember(tx: Tx, change: UserChange & { roles: readonly string[] }): Promise<Membership>;
  /** With `expectedHash` only if that is still the password: 401 when somebody has set another one meanwhile. */
  setPassword(
    tx: Tx,
    change: UserChange & { passwordHash: string; expectedHash?: string; exceptSessionId?: string },
  ): Promise<void>;
  suspendUser(tx: Tx, change: UserChange): Promise<User>;
  archiveUser(tx: Tx, change: UserChange): Promise<User>;
  restoreUser(tx: Tx, change: UserChange): Promise<User>;
}

/** Creates the account service. */
export function createUsers(deps: {
  clock: Clock;
  random: Pick<Random, 'id'>;
  audit: Pick<Audit, 'append'>;
  roles: Pick<Roles, 'grantable' | 'resolve'>;
  revokeAllOfUser: RevokeAllOfUser;
}): Users {
  const { clock, random, audit, roles, revokeAllOfUser } = deps;

  const getMember = async (tx: Reader, organization: string, uid: string) => {
    const membership = await findMembership(tx, organization, uid);
    const user = membership && (await findUser(tx, uid));
    if (!membership || !user) throw new AppError('kernel.not_found', { detail: 'There is no user with this uid.' });
    return { user, membership };
  };

  /** What the account may do anywhere: whoever takes it over gets all of it. */
  const powersOf = async (tx: Reader, uid: string) => {
    const all: ResolvedRoles[] = [];
    for (const { organization, role_ids } of await listMemberships(tx, uid)) {
      all.push(await roles.resolve(tx, organization, role_ids));
    }
    return {
      permissions: new Set(all.flatMap((one) => [...one.permissions])),
      operator: all.some((one) => one.operator),
    };
  };

  /** The locked account, if this caller may administer it: its own organization's, and not above the caller. */
  const getForChange = async (tx: Tx, { organization, uid, granter }: UserChange): Promise<User> => {
    await getMember(tx, organization, uid);
    const user = await findUserForUpdate(tx, uid);
    if (!user) throw new AppError('kernel.not_found', { detail: 'There is no user with this uid.' });
    if (granter === 'system' || granter.operator) return user;
    if (user.organization !== organization) {
      throw new AppError('identity.foreign_account', {
        detail: `The account belongs to the organization ${user.organization}; only that one or an operator can do this.`,
      });
    }
    assertCovers(granter, await powersOf(tx, uid));
    return user;
  };

  const assertNotLastOperator = async (tx: Tx, uid: string) => {
    const own = await findMembership(tx, operatorOrganization, uid);
    if (!own || !(await roles.resolve(tx, operatorOrganization, own.role_ids)).operator) return;
    await lockOperators(tx);
    if ((await countOtherOperators(tx, uid)) === 0) {
      throw new AppError('identity.last_operator', {
        detail: 'This is the last active operator. Make another user of gatehouse an admin first.',
      });
    }
  };

  const record = (tx: Tx, action: string, change: UserChange, details: Record<string, string | string[]> = {}) =>
    audit.append(tx, {
      action,
      organization: change.organization,
      origin: change.origin,
      target: { type: 'user', id: change.uid },
      details,
    });

  const setStatus = async (
    tx: Tx,
    change: UserChange,
    move: { from: readonly UserStatus[]; to: UserStatus; action: string },
  ): Promise<User> => {
    const user = await getForChange(tx, change);
    if (user.status === move.to) return user;
    if (!move.from.includes(user.status)) {
      throw new AppError('identity.not_active', {
        detail: `The account is ${user.status}. Restore it first.`,
      });
    }
    if (move.to !== 'active') {
      await assertNotLastOperator(tx, user.uid);
      await revokeAllOfUser(tx, user.uid, move.action, { origin: change.origin });
    }
    const changed = await updateUserStatus(tx, user.uid, move.to);
    await record(tx, move.action, change, { before: user.status, after: changed.status });
    return changed;
  };

  const grant = async (tx: Tx, change: UserChange & { roles: readonly string[] }, before: Membership | undefined) => {
    const granted = await roles.grantable(tx, {
      organization: change.organization,
      names: change.roles,
      granter: change.granter,
    });
    const membership: Membership = {
      organization: change.organization,
      uid: change.uid,
      role_ids: granted.map((role) => role.id),
      created_at: before?.created_at ?? clock.now(),
      created_by: before?.created_by ?? change.origin.actor.id,
    };
    await upsertMembership(tx, membership);
    return membership;
  };

  return {
    findUser,
    findUserByUsername: (tx, username) => findUserByKey(tx, usernameKey(username)),
    findMembership,
    listMemberships,
    getMember,
    async listMembers(tx, organization) {
      const members: (User & { role_ids: string[] })[] = [];
      const limit = 500;
      for (let count = limit; count === limit; ) {
        const last = members.at(-1);
        const afterKey = last && usernameKey(last.username);
        const page = await listUsers(tx, { organization, status: undefined, keyPrefix: '', afterKey, limit });
        members.push(...page);
        count = page.length;
      }
      return members;
    },
    async createUser(tx, input) {
      const { organization, username, origin, granter } = input;
      assertUsername(username);
      if (input.uid !== undefined) assertUid(input.uid);
      if (input.passwordHash !== undefined) assertHash(input.passwordHash);
      const uid = input.uid ?? random.id('usr');
      const createdAt = clock.now();
      // `<organization>.<name>` is the client id of a service that this organization may yet register.
      const [owner = ''] = uid.split('.');
      const isKept = owner !== uid && owner !== organization && (await isOrganization(tx, owner));
      if (isKept || !(await insertSubjectRow(tx, uid, 'user', createdAt))) {
        throw new AppError('identity.uid_taken', { detail: 'A uid is never given out twice. Choose another one.' });
      }
      const user = await insertUser(tx, {
        uid,
        organization,
        username,
        usernameKey: usernameKey(username),
        createdAt,
        createdBy: origin.actor.id,
      });
      if (!user) throw usernameTaken();
      if (input.passwordHash !== undefined) await upsertPasswordHash(tx, uid, input.passwordHash, createdAt);
      await grant(tx, { organization, uid, granter, origin, roles: input.roles }, undefined);
      await record(tx, 'user.created', { organization, uid, granter, origin }, { username, roles: [...input.roles] });
      return user;
    },
    async renameUser(tx, change) {
      assertUsername(change.username);
      const user = await getForChange(tx, change);
      if (user.username === change.username) return user;
      let renamed: User | undefined;
      try {
        renamed = await updateUsername(tx, user.uid, change.username, usernameKey(change.username));
      } catch (error) {
        if (!isUniqueViolation(error, 'users_username_key_key')) throw error;
      }
      if (!renamed) throw usernameTaken();
      await record(tx, 'user.renamed', change, { before: user.username, after: renamed.username });
      return renamed;
    },
    async setRoles(tx, change) {
      const { membership } = await getMember(tx, change.organization, change.uid);
      await findUserForUpdate(tx, change.uid);
      const before = await roles.resolve(tx, change.organization, membership.role_ids);
      // Whoever takes roles away needs what they give, too: a lesser role cannot strip an admin.
      assertCovers(change.granter, before);
      const changed = await grant(tx, change, membership);
      const after = await roles.resolve(tx, change.organization, changed.role_ids);
      if (before.operator && !after.operator) {
        await lockOperators(tx);
        const user = await findUser(tx, change.uid);
        if (user?.status === 'active' && (await countOtherOperators(tx, change.uid)) === 0) {
          throw new AppError('identity.last_operator', {
            detail: 'This is the last active operator. Make another user of gatehouse an admin first.',
          });
        }
      }
      await record(tx, 'user.roles_changed', change, { before: [...before.names], after: [...after.names] });
      return changed;
    },
    async addMember(tx, change) {
      assertCovers(change.granter, { permissions: [], operator: true });
      const user = await findUserForUpdate(tx, change.uid);
      if (!user) throw new AppError('kernel.not_found', { detail: 'There is no user with this uid.' });
      const membership = await grant(tx, change, await findMembership(tx, change.organization, change.uid));
      await record(tx, 'member.added', change, { roles: [...change.roles] });
      return membership;
    },
    async setPassword(tx, change) {
      assertHash(change.passwordHash);
      const user = await getForChange(tx, change);
      if (change.expectedHash !== undefined && (await findPasswordHash(tx, user.uid)) !== change.expectedHash) {
        throw new AppError('identity.invalid_credentials', { detail: 'The password was changed meanwhile.' });
      }
      await upsertPasswordHash(tx, user.uid, change.passwordHash, clock.now());
      await revokeAllOfUser(tx, user.uid, 'password_changed', {
        origin: change.origin,
        ...(change.exceptSessionId === undefined ? {} : { exceptSessionId: change.exceptSessionId }),
      });
      await record(tx, 'user.password_changed', change);
    },
    suspendUser: (tx, change) =>
      setStatus(tx, change, { from: ['active'], to: 'deactivated', action: 'user.suspended' }),
    archiveUser: (tx, change) =>
      setStatus(tx, change, { from: ['active', 'deactivated'], to: 'archived', action: 'user.archived' }),
    restoreUser: (tx, change) =>
      setStatus(tx, change, { from: ['deactivated', 'archived'], to: 'active', action: 'user.restored' }),
  };
}

function usernameTaken(): AppError {
  return new AppError('identity.username_taken', { detail: 'Choose another user name.' });
}

function assertHash(hash: string): void {
  if (parseHash(hash)) return;
  throw new AppError('kernel.invalid_request', {
    detail: 'The password hash is of a kind that is not known here.',
    errors: [
      {
        field: 'password_hash',
        rule: 'is not an argon2, bcrypt ($2a, $2b, $2y), scrypt or PBKDF2 hash within our bounds',
        fix: 'see docs/guides/users-and-roles.md',
      },
    ],
  });
}
