import { type NamedStatement, named, type Tx } from '../../../kernel/index.ts';
import type { StoredConfiguration, UsedBase } from './version.ts';

/** A namespace that another one inherits from, with the version whose values it gives. */
export interface Base extends UsedBase {
  readonly organization: string;
  readonly service: string;
  readonly name: string;
  readonly effective: StoredConfiguration;
}

const bases: NamedStatement = {
  name: 'configuration_list_bases',
  text: `select b.id, b.organization, b.service, b.name, b.latest_version as seen,
      coalesce(v.version, 0) as used, coalesce(v.effective, '{}') as effective
    from configuration.extensions e
      join configuration.namespaces b on b.id = e.base_id
      left join unnest($2::text[], $3::int[], $4::int[]) as kept (id, used, seen) on kept.id = b.id and kept.seen = b.latest_version
      left join configuration.versions v on v.namespace_id = b.id and v.version = coalesce(kept.used, b.latest_version)
    where e.namespace_id = $1 order by e.position`,
};

/**
 * What a namespace inherits from, the strongest last. Of a base that has not published since `previous` it is the version
 * that was used then: that may be an older one, restored by a rollback.
 */
export async function listBases(tx: Tx, namespaceId: string, previous: readonly UsedBase[]): Promise<Base[]> {
  const kept = [previous.map((one) => one.id), previous.map((one) => one.used), previous.map((one) => one.seen)];
  return named<Base>(tx, bases, [namespaceId, ...kept]);
}
