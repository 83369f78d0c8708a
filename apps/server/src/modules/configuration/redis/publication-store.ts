import { named, type Reader, type Tx } from '../../../kernel/index.ts';

/** How far Redis was told about a namespace. */
export interface Publication {
  organization: string;
  service: string;
  name: string;
  latest_version: number;
  /** The version told last; null when none was. */
  version: number | null;
  behind: boolean | null;
}

const find = {
  name: 'configuration_find_redis_publication',
  text: `select n.organization, n.service, n.name, n.latest_version, p.version, p.behind from configuration.namespaces n
    left join configuration.redis_publications p on p.namespace_id = n.id where n.id = $1`,
};
export async function findPublication(tx: Reader, namespaceId: string): Promise<Publication | undefined> {
  return (await named<Publication>(tx, find, [namespaceId]))[0];
}

const set = {
  name: 'configuration_set_redis_publication',
  text: `insert into configuration.redis_publications as p (namespace_id, version, behind)
    select id, $2, $3 from configuration.namespaces where id = $1
    on conflict (namespace_id) do update set version = greatest(p.version, excluded.version), behind = excluded.behind`,
};
/** Notes that this version was told, or that Redis is behind; nothing when the namespace is gone. */
export async function setPublication(
  tx: Tx,
  publication: { namespaceId: string; version: number; behind: boolean },
): Promise<void> {
  await named(tx, set, [publication.namespaceId, publication.version, publication.behind]);
}

const behind = {
  name: 'configuration_list_redis_behind',
  text: `select n.id, n.latest_version from configuration.redis_publications p
    join configuration.namespaces n on n.id = p.namespace_id
    where p.behind and n.id > $1 order by n.id limit $2`,
};
/** Namespaces that Redis was not told about in time, by id. */
export async function listBehind(
  tx: Reader,
  afterId: string,
  limit: number,
): Promise<{ id: string; latest_version: number }[]> {
  return named(tx, behind, [afterId, limit]);
}
