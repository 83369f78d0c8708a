import { createHash } from 'node:crypto';
import { named, type Reader, type Tx } from '../../kernel/index.ts';

/** The row key of a refresh token: it carries 256 random bits, so a plain hash cannot be turned back. */
function refreshHash(token: string): Buffer {
  return createHash('sha256').update('reuni-refresh-token\0').update(token).digest();
}

const insert = {
  name: 'reuni_insert_session',
  text: 'insert into reuni.sessions (session_id, refresh_hash) values ($1, $2)',
};
export async function insertReuniSession(tx: Tx, sessionId: string, refreshToken: string): Promise<void> {
  await named(tx, insert, [sessionId, refreshHash(refreshToken)]);
}

const byToken = {
  name: 'reuni_find_session_by_token',
  text: 'select session_id from reuni.sessions where refresh_hash = $1',
};
/** The session of a refresh token, ended or not. */
export async function findSessionOfToken(tx: Reader, refreshToken: string): Promise<string | undefined> {
  return (await named<{ session_id: string }>(tx, byToken, [refreshHash(refreshToken)]))[0]?.session_id;
}

const byId = { name: 'reuni_find_session', text: 'select session_id from reuni.sessions where session_id = $1' };
/** True when the session began at this layer. */
export async function isReuniSession(tx: Reader, sessionId: string): Promise<boolean> {
  return (await named(tx, byId, [sessionId])).length === 1;
}
