import type { JsonObject } from '@gatehouse/contracts';
import { sql } from 'kysely';
import { type NamedStatement, named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { StoredConfiguration, Version, VersionKind } from './version.ts';

interface VersionRow {
  namespace_id: string;
  version: number;
  parent_version: number;
  own: StoredConfiguration;
  effective: StoredConfiguration;
  sources: Version['sources'];
  bases: Version['bases'];
  content_hash: string;
  hash: string;
  previous_hash: string;
  kind: string;
  restores: number | null;
  cause: JsonObject | null;
  message: string | null;
  labels: Record<string, string>;
  created_at: Date;
  created_by: string;
}

const toVersion = (row: VersionRow): Version => ({
  namespaceId: row.namespace_id,
  version: row.version,
  parentVersion: row.parent_version,
  own: row.own,
  effective: row.effective,
  sources: row.sources,
  bases: row.bases,
  contentHash: row.content_hash,
  hash: row.hash,
  previousHash: row.previous_hash,
  kind: row.kind as VersionKind,
  restores: row.restores ?? undefined,
  cause: row.cause ?? undefined,
  message: row.message ?? undefined,
  labels: row.labels,
  createdAt: row.created_at,
  createdBy: row.created_by,
});

const find: NamedStatement = {
  name: 'configuration_find_version',
  text: 'select * from configuration.versions where namespace_id = $1 and version = $2',
};

/** One version of a namespace. */
export async function findVersion(tx: Reader, namespaceId: string, version: number): Promise<Version | undefined> {
  const [row] = await named<VersionRow>(tx, find, [namespaceId, version]);
  return row && toVersion(row);
}

/** A version without its content: what a history shows. */
export type VersionSummary = Omit<Version, 'own' | 'effective' | 'sources' | 'bases'>;

/** Versions of a namespace, newest first, older than `before`. */
export async function listVersions(
  tx: Reader,
  namespaceId: string,
  page: { before?: number | undefined; limit: number; label?: Readonly<Record<string, string>> | undefined },
): Promise<VersionSummary[]> {
  const { before, limit, label } = page;
  let query = tx
    .selectFrom('configuration.versions')
    .select([
      'namespace_id',
      'version',
      'parent_version',
      'content_hash',
      'hash',
      'previous_hash',
      'kind',
      'restores',
      'cause',
      'message',
      'labels',
      'created_at',
      'created_by',
    ])
    .where('namespace_id', '=', namespaceId);
  if (before !== undefined) query = query.where('version', '<', before);
  if (label !== undefined) query = query.where(sql<boolean>`labels @> ${JSON.stringify(label)}::jsonb`);
  const rows = await query.orderBy('version', 'desc').limit(limit).execute();
  return rows.map((row) => {
    const {
      own: _own,
      effective: _effective,
      sources: _sources,
      bases: _bases,
      ...summary
    } = toVersion({
      ...(row as unknown as VersionRow),
      own: {},
      effective: {},
      sources: {},
      bases: [],
    });
    return summary;
  });
}

const insert: NamedStatement = {
  name: 'configuration_insert_version',
  text: `insert into configuration.versions (namespace_id, version, parent_version, own, effective, sources, content_hash,
      hash, previous_hash, kind, restores, cause, message, labels, created_at, created_by, bases)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
};

/** Writes a version. Its number is one more than the namespace's newest, under the namespace's lock. */
export async function insertVersion(tx: Tx, version: Version): Promise<void> {
  await named(tx, insert, [
    version.namespaceId,
    version.version,
    version.parentVersion,
    JSON.stringify(version.own),
    JSON.stringify(version.effective),
    JSON.stringify(version.sources),
    version.contentHash,
    version.hash,
    version.previousHash,
    version.kind,
    version.restores ?? null,
    version.cause === undefined ? null : JSON.stringify(version.cause),
    version.message ?? null,
    JSON.stringify(version.labels),
    version.createdAt,
    version.createdBy,
    JSON.stringify(version.bases),
  ]);
}
