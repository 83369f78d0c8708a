import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import { bearerHash } from './hashes.ts';
import { batchRows } from './in-batches.ts';

const useIdStatement = {
  name: 'identity_use_id',
  text: `insert into identity.used_ids (id_hash, expires_at) values ($1, $2)
    on conflict (id_hash) do update set expires_at = excluded.expires_at where identity.used_ids.expires_at < $3
    returning 1 as won`,
};
/** Uses an id that may be used once until `expiresAt`. False when somebody used it before, on whichever node. */
export async function useIdOnce(
  tx: Tx,
  input: { issuer: string; id: string; expiresAt: Date; now: Date },
): Promise<boolean> {
  const idHash = bearerHash(`used-id:${input.issuer}`, input.id);
  return (await named(tx, useIdStatement, [idHash, input.expiresAt, input.now])).length === 1;
}

const revokeStatement = {
  name: 'identity_revoke_token',
  text: `insert into identity.revoked_tokens (token_id, expires_at) values ($1, $2)
    on conflict (token_id) do nothing returning 1 as won`,
};
/** Notes that an access token is revoked until it expires by itself. False when it had been revoked before. */
export async function revokeTokenId(tx: Tx, tokenId: string, expiresAt: Date): Promise<boolean> {
  return (await named(tx, revokeStatement, [tokenId, expiresAt])).length === 1;
}

const isRevokedStatement = {
  name: 'identity_is_token_revoked',
  text: 'select 1 as found from identity.revoked_tokens where token_id = $1',
};
export async function isTokenRevoked(tx: Reader, tokenId: string): Promise<boolean> {
  return (await named(tx, isRevokedStatement, [tokenId])).length === 1;
}

const purgeRevokedStatement = {
  name: 'identity_purge_revoked_tokens',
  text: `delete from identity.revoked_tokens where token_id in (
    select token_id from identity.revoked_tokens where expires_at < $1 limit $2) returning 1`,
};
const purgeUsedStatement = {
  name: 'identity_purge_used_ids',
  text: `delete from identity.used_ids where id_hash in (
    select id_hash from identity.used_ids where expires_at < $1 limit $2) returning 1`,
};
/** Forgets a batch of revocations that have no effect any more; how many. */
export async function purgeRevokedTokens(tx: Tx, before: Date): Promise<number> {
  return (await named(tx, purgeRevokedStatement, [before, batchRows])).length;
}
/** Forgets a batch of used ids that have no effect any more; how many. */
export async function purgeUsedIds(tx: Tx, before: Date): Promise<number> {
  return (await named(tx, purgeUsedStatement, [before, batchRows])).length;
}
