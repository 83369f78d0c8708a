import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { Membership, User, UserStatus } from './user.ts';

const columns = 'uid, organization, username, status, last_login, last_login_attempt, created_at, created_by';
const prefixed = columns.replaceAll(/\w+/g, (column) => `u.${column}`);

const find = { name: 'identity_find_user', text: `select ${columns} from identity.users where uid = $1` };
export async function findUser(tx: Reader, uid: string): Promise<User | undefined> {
  return (await named<User>(tx, find, [uid]))[0];
}

const forUpdate = {
  name: 'identity_lock_user',
  text: `select ${columns} from identity.users where uid = $1 for no key update`,
};
export async function findUserForUpdate(tx: Tx, uid: string): Promise<User | undefined> {
  return (await named<User>(tx, forUpdate, [uid]))[0];
}

const byKey = {
  name: 'identity_find_user_by_username',
  text: `select ${columns} from identity.users where username_key = $1`,
};
export async function findUserByKey(tx: Reader, usernameKey: string): Promise<User | undefined> {
  return (await named<User>(tx, byKey, [usernameKey]))[0];
}

const credential = {
  name: 'identity_find_password_credential',
  text: `select ${prefixed}, p.hash from identity.users u left join identity.password_credentials p on p.uid = u.uid
    where u.username_key = $1`,
};
/** The account and its password hash by user name, for the check of a password. */
export async function findCredential(
  tx: Reader,
  usernameKey: string,
): Promise<{ user: User; hash: string | undefined } | undefined> {
  const [row] = await named<User & { hash: string | null }>(tx, credential, [usernameKey]);
  if (!row) return undefined;
  const { hash, ...user } = row;
  return { user, hash: hash ?? undefined };
}

const hashOf = {
  name: 'identity_find_password_hash',
  text: 'select hash from identity.password_credentials where uid = $1',
};
export async function findPasswordHash(tx: Reader, uid: string): Promise<string | undefined> {
  return (await named<{ hash: string }>(tx, hashOf, [uid]))[0]?.hash;
}

const setHash = {
  name: 'identity_set_password_hash',
  text: `insert into identity.password_credentials (uid, hash, changed_at) values ($1, $2, $3)
    on conflict (uid) do update set hash = excluded.hash, changed_at = excluded.changed_at`,
};
export async function upsertPasswordHash(tx: Tx, uid: string, hash: string, changedAt: Date): Promise<void> {
  await named(tx, setHash, [uid, hash, changedAt]);
}

const upgradeHash = {
  name: 'identity_upgrade_password_hash',
  text: 'update identity.password_credentials set hash = $3 where uid = $1 and hash = $2 returning uid',
};
/** Replaces a hash by a better one of the same password, unless the password was changed meanwhile. */
export async function upgradePasswordHash(tx: Tx, uid: string, from: string, to: string): Promise<boolean> {
  return (await named(tx, upgradeHash, [uid, from, to])).length > 0;
}

const page = {
  name: 'identity_list_users',
  text: `select ${prefixed}, m.role_ids from identity.memberships m join identity.users u on u.uid = m.uid
    where m.organization = $1 and ($2::text is null or u.status = $2) and starts_with(u.username_key, $3)
      and ($4::text is null or u.username_key > $4)
    order by u.username_key limit $5`,
};
/** Members of an organization by user name. */
export async function listUsers(
  tx: Reader,
  filter: {
    organization: string;
    status: UserStatus | undefined;
    keyPrefix: string;
    afterKey: string | undefined;
    limit: number;
  },
): Promise<(User & { role_ids: string[] })[]> {
  const { organization, status, keyPrefix, afterKey, limit } = filter;
  return named(tx, page, [organization, status ?? null, keyPrefix, afterKey ?? null, limit]);
}

const insertSubject = {
  name: 'identity_insert_subject',
  text: `insert into identity.subjects (subject, kind, created_at) values ($1, $2, $3)
    on conflict (subject) do nothing returning subject`,
};
/** Takes a subject for good; false when it is or ever was taken. */
export async function insertSubjectRow(
  tx: Tx,
  subject: string,
  kind: 'user' | 'service',
  createdAt: Date,
): Promise<boolean> {
  return (await named(tx, insertSubject, [subject, kind, createdAt])).length > 0;
}

const insert = {
  name: 'identity_insert_user',
  text: `insert into identity.users (uid, organization, username, username_key, created_at, created_by)
    values ($1, $2, $3, $4, $5, $6) on conflict (username_key) do nothing returning ${columns}`,
};
/** Undefined when the user name is taken. */
export async function insertUser(
  tx: Tx,
  user: {
    uid: string;
    organization: string;
    username: string;
    usernameKey: string;
    createdAt: Date;
    createdBy: string;
  },
): Promise<User | undefined> {
  const { uid, organization, username, usernameKey, createdAt, createdBy } = user;
  return (await named<User>(tx, insert, [uid, organization, username, usernameKey, createdAt, createdBy]))[0];
}

const rename = {
  name: 'identity_rename_user',
  text: `update identity.users u set username = $2, username_key = $3
    where uid = $1 and not exists (select 1 from identity.users o where o.username_key = $3 and o.uid <> $1)
    returning ${prefixed}`,
};
/** Undefined when the name is taken (two at once meet at the unique key: the later one throws). */
export async function updateUsername(
  tx: Tx,
  uid: string,
  username: string,
  usernameKey: string,
): Promise<User | undefined> {
  return (await named<User>(tx, rename, [uid, username, usernameKey]))[0];
}

const setStatus = {
  name: 'identity_set_user_status',
  text: `update identity.users set status = $2 where uid = $1 returning ${columns}`,
};
export async function updateUserStatus(tx: Tx, uid: string, status: UserStatus): Promise<User> {
  const [row] = await named<User>(tx, setStatus, [uid, status]);
  if (!row) throw new Error('updateUserStatus: the user is not there, although it was locked');
  return row;
}

const attempted = {
  name: 'identity_note_sign_in_attempt',
  text: `update identity.users set last_login_attempt = $2,
    last_login = case when $3::boolean then $2 else last_login end where uid = $1`,
};
/** Notes a sign-in attempt, and the sign-in when it was one. */
export async function noteSignIn(tx: Tx, uid: string, now: Date, succeeded: boolean): Promise<void> {
  await named(tx, attempted, [uid, now, succeeded]);
}

const memberships = {
  name: 'identity_list_memberships',
  text: `select m.organization, m.uid, m.role_ids, m.created_at, m.created_by from identity.memberships m
    join identity.organizations o on o.name = m.organization
    where m.uid = $1 and o.status = 'active' order by m.organization`,
};
/** Where the user is a member; not of suspended organizations. */
export async function listMemberships(tx: Reader, uid: string): Promise<Membership[]> {
  return named(tx, memberships, [uid]);
}

const membership = {
  name: 'identity_find_membership',
  text: `select organization, uid, role_ids, created_at, created_by from identity.memberships
    where organization = $1 and uid = $2`,
};
export async function findMembership(tx: Reader, organization: string, uid: string): Promise<Membership | undefined> {
  return (await named<Membership>(tx, membership, [organization, uid]))[0];
}

const setMembership = {
  name: 'identity_set_membership',
  text: `insert into identity.memberships (organization, uid, role_ids, created_at, created_by)
    values ($1, $2, $3, $4, $5) on conflict (organization, uid) do update set role_ids = excluded.role_ids`,
};
export async function upsertMembership(tx: Tx, membership: Membership): Promise<void> {
  const { organization, uid, role_ids, created_at, created_by } = membership;
  await named(tx, setMembership, [organization, uid, role_ids, created_at, created_by]);
}

const operators = {
  name: 'identity_count_operators',
  text: `select count(*)::int as count from identity.memberships m
    join identity.users u on u.uid = m.uid and u.status = 'active'
    join identity.roles r on r.id = any(m.role_ids) and r.organization = 'gatehouse' and r.name = 'admin' and r.built_in
    where m.organization = 'gatehouse' and u.uid <> $1`,
};
/** Active operators other than this one. */
export async function countOtherOperators(tx: Reader, exceptUid: string): Promise<number> {
  return (await named<{ count: number }>(tx, operators, [exceptUid]))[0]?.count ?? 0;
}

const lockOperatorsStatement = {
  name: 'identity_lock_operators',
  text: 'select completed_at from identity.bootstrap for update',
};
/** One change of the set of operators at a time, on all nodes. Returns when the first one was made. */
export async function lockOperators(tx: Tx): Promise<Date | undefined> {
  return (await named<{ completed_at: Date | null }>(tx, lockOperatorsStatement, []))[0]?.completed_at ?? undefined;
}
