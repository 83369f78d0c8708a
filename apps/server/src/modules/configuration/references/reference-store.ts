import { type NamedStatement, named, type Reader, type Tx } from '../../../kernel/index.ts';

/** Something that the newest version of a namespace refers to. */
export interface UsedReference {
  readonly kind: 'key' | 'client';
  /** The name of a keyring, or the id of a service. */
  readonly target: string;
}

const replace: NamedStatement = {
  name: 'configuration_replace_references',
  text: `with wanted as (select * from unnest($2::text[], $3::text[]) as w (kind, target)),
    gone as (delete from configuration.used_references r where r.namespace_id = $1
      and not exists (select from wanted w where w.kind = r.kind and w.target = r.target))
    insert into configuration.used_references (namespace_id, kind, target) select $1, kind, target from wanted
    on conflict do nothing`,
};

/** Notes what the newest version refers to. */
export async function replaceReferences(
  tx: Tx,
  namespaceId: string,
  references: readonly UsedReference[],
): Promise<void> {
  await named(tx, replace, [namespaceId, references.map((one) => one.kind), references.map((one) => one.target)]);
}

const using: NamedStatement = {
  name: 'configuration_list_references',
  text: `select distinct r.namespace_id as id, n.service, n.name from configuration.used_references r
      join configuration.namespaces n on n.id = r.namespace_id
    where r.kind = $1 and ($2::text is null or r.target = $2) and r.namespace_id > $3 order by r.namespace_id limit $4`,
};

/** Namespaces whose newest version refers to this target, or to any of its kind; by id, after `afterId`. */
export async function listReferring(
  tx: Reader,
  { kind, target }: { kind: UsedReference['kind']; target?: string | undefined },
  { afterId = '', limit }: { afterId?: string | undefined; limit: number },
): Promise<{ id: string; service: string; name: string }[]> {
  return named(tx, using, [kind, target ?? null, afterId, limit]);
}
