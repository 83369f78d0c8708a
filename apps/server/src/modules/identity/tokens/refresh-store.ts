import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import { batchRows } from './in-batches.ts';

/** A refresh token with what its session says. The value itself is nowhere: `token_hash` is its SHA-256. */
export interface RefreshRow {
  token_hash: Buffer;
  session_id: string;
  client_id: string;
  /** Sealed: what oidc-provider needs again at a refresh. Null for a headless session. */
  details: Buffer | null;
  expires_at: Date;
  used_at: Date | null;
  /** The successor's value, sealed under a key derived from this token's value. */
  successor: Buffer | null;
  user_id: string;
  session_ended: boolean;
  session_expires_at: Date;
  absolute_expires_at: Date;
}

const selectText = `select t.token_hash, t.session_id, t.client_id, t.details, t.expires_at, t.used_at, t.successor,
    s.user_id, s.revoked_at is not null or u.status <> 'active' as session_ended, s.expires_at as session_expires_at, s.absolute_expires_at
  from identity.refresh_tokens t join identity.sessions s on s.id = t.session_id
    join identity.users u on u.uid = s.user_id where t.token_hash = $1`;

const findStatement = { name: 'identity_find_refresh_token', text: selectText };
export async function findRefreshToken(tx: Reader, tokenHash: Buffer): Promise<RefreshRow | undefined> {
  return (await named<RefreshRow>(tx, findStatement, [tokenHash]))[0];
}

const lockStatement = { name: 'identity_lock_refresh_token', text: `${selectText} for update of t` };
/** As {@link findRefreshToken}, and holds the token's row: parallel refreshes with one token go one after another. */
export async function getRefreshTokenForUpdate(tx: Tx, tokenHash: Buffer): Promise<RefreshRow | undefined> {
  return (await named<RefreshRow>(tx, lockStatement, [tokenHash]))[0];
}

const insertStatement = {
  name: 'identity_insert_refresh_token',
  text: `insert into identity.refresh_tokens (token_hash, session_id, client_id, details, created_at, expires_at)
    values ($1, $2, $3, $4, $5, $6)`,
};
export async function insertRefreshToken(
  tx: Tx,
  token: {
    tokenHash: Buffer;
    sessionId: string;
    clientId: string;
    details: Uint8Array | null;
    now: Date;
    expiresAt: Date;
  },
): Promise<void> {
  await named(tx, insertStatement, [
    token.tokenHash,
    token.sessionId,
    token.clientId,
    token.details,
    token.now,
    token.expiresAt,
  ]);
}

const useStatement = {
  name: 'identity_use_refresh_token',
  text: 'update identity.refresh_tokens set used_at = $2, successor = $3 where token_hash = $1',
};
export async function markRefreshTokenUsed(tx: Tx, tokenHash: Buffer, now: Date, successor: Uint8Array): Promise<void> {
  await named(tx, useStatement, [tokenHash, now, successor]);
}

const purgeStatement = {
  name: 'identity_purge_refresh_tokens',
  text: `delete from identity.refresh_tokens where token_hash in (
    select token_hash from identity.refresh_tokens where expires_at < $1 limit $2) returning 1`,
};
/** Forgets a batch of refresh tokens that expired before `before`; how many. */
export async function purgeRefreshTokens(tx: Tx, before: Date): Promise<number> {
  return (await named(tx, purgeStatement, [before, batchRows])).length;
}
