import { named, type Reader, type Tx } from '../../../../kernel/index.ts';
import { batchRows } from '../../tokens/in-batches.ts';

/** A stored artefact of oidc-provider: what it is, its sealed payload, until when it lives. */
export interface ArtifactRow {
  id_hash: Buffer;
  sealed: Buffer;
  expires_at: Date;
  consumed_at: Date | null;
}

/** What an upsert writes. */
export interface NewArtifact {
  idHash: Buffer;
  model: string;
  sealed: Uint8Array;
  grantHash: Buffer | null;
  uidHash: Buffer | null;
  userCodeHash: Buffer | null;
  userId: string | null;
  clientId: string | null;
  expiresAt: Date;
}

const upsertStatement = {
  name: 'identity_upsert_artifact',
  text: `insert into identity.oauth_artifacts
      (id_hash, model, sealed, grant_hash, uid_hash, user_code_hash, user_id, client_id, expires_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    on conflict (id_hash) do update set sealed = excluded.sealed, grant_hash = excluded.grant_hash,
      uid_hash = excluded.uid_hash, user_code_hash = excluded.user_code_hash, user_id = excluded.user_id,
      client_id = excluded.client_id, expires_at = excluded.expires_at`,
};
/** Inserts or replaces an artefact; whether it was consumed stays as it was. */
export async function upsertArtifact(tx: Tx, artifact: NewArtifact): Promise<void> {
  await named(tx, upsertStatement, [
    artifact.idHash,
    artifact.model,
    artifact.sealed,
    artifact.grantHash,
    artifact.uidHash,
    artifact.userCodeHash,
    artifact.userId,
    artifact.clientId,
    artifact.expiresAt,
  ]);
}

const columns = 'id_hash, sealed, expires_at, consumed_at';
const findStatement = {
  name: 'identity_find_artifact',
  text: `select ${columns} from identity.oauth_artifacts where id_hash = $1`,
};
export async function findArtifact(tx: Reader, idHash: Buffer): Promise<ArtifactRow | undefined> {
  return (await named<ArtifactRow>(tx, findStatement, [idHash]))[0];
}

const findByUidStatement = {
  name: 'identity_find_artifact_by_uid',
  text: `select ${columns} from identity.oauth_artifacts where uid_hash = $1 and model = $2`,
};
export async function findArtifactByUid(tx: Reader, model: string, uidHash: Buffer): Promise<ArtifactRow | undefined> {
  return (await named<ArtifactRow>(tx, findByUidStatement, [uidHash, model]))[0];
}

const findByUserCodeStatement = {
  name: 'identity_find_artifact_by_user_code',
  text: `select ${columns} from identity.oauth_artifacts where user_code_hash = $1 and model = $2`,
};
export async function findArtifactByUserCode(
  tx: Reader,
  model: string,
  userCodeHash: Buffer,
): Promise<ArtifactRow | undefined> {
  return (await named<ArtifactRow>(tx, findByUserCodeStatement, [userCodeHash, model]))[0];
}

const consumeStatement = {
  name: 'identity_consume_artifact',
  text: `update identity.oauth_artifacts set consumed_at = $2
    where id_hash = $1 and consumed_at is null returning grant_hash`,
};
/** Marks a single-use artefact as used. False when somebody else was first: that is the whole race, decided by the row. */
export async function consumeArtifact(tx: Tx, idHash: Buffer, now: Date): Promise<boolean> {
  return (await named(tx, consumeStatement, [idHash, now])).length === 1;
}

/** How far the use of a single-use artefact has come. */
export interface ConsumedRow {
  grant_hash: Buffer | null;
  consumed_at: Date | null;
  completed_at: Date | null;
}
const consumedStatement = {
  name: 'identity_find_consumed_artifact',
  text: 'select grant_hash, consumed_at, completed_at from identity.oauth_artifacts where id_hash = $1',
};
export async function findConsumedArtifact(tx: Reader, idHash: Buffer): Promise<ConsumedRow | undefined> {
  return (await named<ConsumedRow>(tx, consumedStatement, [idHash]))[0];
}

const completeStatement = {
  name: 'identity_complete_artifact',
  text: 'update identity.oauth_artifacts set completed_at = $2 where id_hash = $1 and completed_at is null',
};
/** Notes that what the artefact was good for has been given out. */
export async function completeArtifact(tx: Tx, idHash: Buffer, now: Date): Promise<void> {
  await named(tx, completeStatement, [idHash, now]);
}

const deleteStatement = {
  name: 'identity_delete_artifact',
  text: 'delete from identity.oauth_artifacts where id_hash = $1',
};
export async function deleteArtifact(tx: Tx, idHash: Buffer): Promise<void> {
  await named(tx, deleteStatement, [idHash]);
}

const deleteByGrantStatement = {
  name: 'identity_delete_artifacts_of_grant',
  text: 'delete from identity.oauth_artifacts where grant_hash = $1 and consumed_at is null',
};
/**
 * Deletes what still lives of a grant. Consumed codes stay until they expire, so that a replay is recognized as one.
 */
export async function deleteArtifactsOfGrant(tx: Tx, grantHash: Buffer): Promise<void> {
  await named(tx, deleteByGrantStatement, [grantHash]);
}

const deleteByUserStatement = {
  name: 'identity_delete_artifacts_of_user',
  text: 'delete from identity.oauth_artifacts where user_id = $1',
};
/** Deletes browser sessions, grants, codes and pending interactions of a user. */
export async function deleteArtifactsOfUser(tx: Tx, userId: string): Promise<void> {
  await named(tx, deleteByUserStatement, [userId]);
}

const purgeStatement = {
  name: 'identity_purge_artifacts',
  text: `delete from identity.oauth_artifacts where id_hash in (
    select id_hash from identity.oauth_artifacts where expires_at < $1 limit $2) returning 1`,
};
/** Deletes a batch of expired artefacts; how many. */
export async function purgeArtifacts(tx: Tx, before: Date): Promise<number> {
  return (await named(tx, purgeStatement, [before, batchRows])).length;
}
