import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import { batchRows } from '../tokens/in-batches.ts';

/** A sign-in that lives: headless (`POST /v1/sessions`) or a grant to an OAuth client. Its id is the token claim `sid`. */
export interface SessionRow {
  id: string;
  kind: 'headless' | 'oauth';
  user_id: string;
  organization: string;
  client_id: string;
  scope: string;
  audience: string[];
  address: string | null;
  user_agent: string | null;
  authenticated_at: Date;
  created_at: Date;
  last_used_at: Date;
  expires_at: Date;
  absolute_expires_at: Date;
  revoked_at: Date | null;
  revoked_reason: string | null;
  grant_hash: Buffer | null;
}

/** A session to be inserted. */
export interface NewSession {
  id: string;
  kind: 'headless' | 'oauth';
  userId: string;
  organization: string;
  clientId: string;
  grantHash: Buffer | null;
  scope: string;
  audience: readonly string[];
  address: string | null;
  userAgent: string | null;
  authenticatedAt: Date;
  now: Date;
  expiresAt: Date;
  absoluteExpiresAt: Date;
}

const columns = `id, kind, user_id, organization, client_id, scope, audience, address, user_agent, authenticated_at,
  created_at, last_used_at, expires_at, absolute_expires_at, revoked_at, revoked_reason, grant_hash`;

const insertStatement = {
  name: 'identity_insert_session',
  text: `insert into identity.sessions (id, kind, user_id, organization, client_id, grant_hash, scope, audience, address,
      user_agent, authenticated_at, created_at, last_used_at, expires_at, absolute_expires_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14)`,
};
export async function insertSession(tx: Tx, session: NewSession): Promise<void> {
  await named(tx, insertStatement, [
    session.id,
    session.kind,
    session.userId,
    session.organization,
    session.clientId,
    session.grantHash,
    session.scope,
    [...session.audience],
    session.address,
    session.userAgent,
    session.authenticatedAt,
    session.now,
    session.expiresAt,
    session.absoluteExpiresAt,
  ]);
}

const lockUserStatement = {
  name: 'identity_lock_active_user',
  text: `select uid from identity.users where uid = $1 and status = 'active' for share`,
};
/** True when the user is active and stays so until the transaction ends: no session begins beside a suspension. */
export async function lockActiveUser(tx: Tx, uid: string): Promise<boolean> {
  return (await named(tx, lockUserStatement, [uid])).length === 1;
}

const newerPasswordStatement = {
  name: 'identity_is_password_newer',
  text: 'select 1 as found from identity.password_credentials where uid = $1 and changed_at >= $2',
};
/**
 * True when a sign-in of this time still stands: the user is active, and has not got another password since. What is
 * begun on it waits here for a change under way, which would otherwise end all there is but what comes just after.
 */
export async function lockSignIn(tx: Tx, uid: string, signedInAt: Date): Promise<boolean> {
  if (!(await lockActiveUser(tx, uid))) return false;
  // Sign-ins in a browser are known to the second.
  const nextSecond = new Date(signedInAt.getTime() + 1000);
  return (await named(tx, newerPasswordStatement, [uid, nextSecond])).length === 0;
}

const findStatement = { name: 'identity_find_session', text: `select ${columns} from identity.sessions where id = $1` };
export async function findSession(tx: Reader, id: string): Promise<SessionRow | undefined> {
  return (await named<SessionRow>(tx, findStatement, [id]))[0];
}

const findByGrantStatement = {
  name: 'identity_find_session_by_grant',
  text: `select ${columns} from identity.sessions where grant_hash = $1`,
};
export async function findSessionByGrant(tx: Reader, grantHash: Buffer): Promise<SessionRow | undefined> {
  return (await named<SessionRow>(tx, findByGrantStatement, [grantHash]))[0];
}

const touchStatement = {
  name: 'identity_touch_session',
  text: `update identity.sessions set last_used_at = $2, expires_at = least($3, absolute_expires_at)
    where id = $1 and revoked_at is null`,
};
/** Notes that the session was used: its idle limit moves, its absolute limit does not. */
export async function touchSession(tx: Tx, id: string, now: Date, expiresAt: Date): Promise<void> {
  await named(tx, touchStatement, [id, now, expiresAt]);
}

const revokeStatement = {
  name: 'identity_revoke_session',
  text: `update identity.sessions set revoked_at = $2, revoked_reason = $3
    where id = $1 and revoked_at is null returning ${columns}`,
};
/** Ends a session; undefined when it had ended before. */
export async function revokeSessionRow(tx: Tx, id: string, now: Date, reason: string): Promise<SessionRow | undefined> {
  return (await named<SessionRow>(tx, revokeStatement, [id, now, reason]))[0];
}

const revokeByGrantStatement = {
  name: 'identity_revoke_session_of_grant',
  text: `update identity.sessions set revoked_at = $2, revoked_reason = $3
    where grant_hash = $1 and revoked_at is null returning ${columns}`,
};
export async function revokeSessionOfGrant(
  tx: Tx,
  grantHash: Buffer,
  now: Date,
  reason: string,
): Promise<SessionRow | undefined> {
  return (await named<SessionRow>(tx, revokeByGrantStatement, [grantHash, now, reason]))[0];
}

const revokeByUserStatement = {
  name: 'identity_revoke_sessions_of_user',
  text: `update identity.sessions set revoked_at = $2, revoked_reason = $3
    where user_id = $1 and revoked_at is null and ($4::text is null or id <> $4)
      and ($5::text is null or organization = $5) returning ${columns}`,
};
/**
 * Ends every session of a user, except one when it is named (the one that changes its own password), or only those in
 * one organization.
 */
export async function revokeSessionsOfUser(
  tx: Tx,
  ending: { userId: string; now: Date; reason: string; exceptId: string | null; organization: string | null },
): Promise<SessionRow[]> {
  const { userId, now, reason, exceptId, organization } = ending;
  return named<SessionRow>(tx, revokeByUserStatement, [userId, now, reason, exceptId, organization]);
}

const listStatement = {
  name: 'identity_list_sessions',
  text: `select ${columns} from identity.sessions
    where user_id = $1 and ($2::text is null or organization = $2) and revoked_at is null
      and expires_at > $3 and absolute_expires_at > $3 and ($4::text is null or id < $4)
    order by id desc limit $5`,
};
/** Living sessions of a user, newest first. */
export async function listSessions(
  tx: Reader,
  filter: { userId: string; organization: string | null; now: Date; beforeId: string | null; limit: number },
): Promise<SessionRow[]> {
  return named<SessionRow>(tx, listStatement, [
    filter.userId,
    filter.organization,
    filter.now,
    filter.beforeId,
    filter.limit,
  ]);
}

const purgeStatement = {
  name: 'identity_purge_sessions',
  text: `delete from identity.sessions where id in (select id from identity.sessions
    where absolute_expires_at < $1 or expires_at < $1 or revoked_at < $1 limit $2) returning 1`,
};
/** Forgets a batch of sessions that ended before `before`, with their refresh tokens; how many. */
export async function purgeSessions(tx: Tx, before: Date): Promise<number> {
  return (await named(tx, purgeStatement, [before, batchRows])).length;
}
