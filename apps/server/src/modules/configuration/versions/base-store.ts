import { type NamedStatement, named, type Tx } from '../../../kernel/index.ts';
import type { StoredConfiguration } from './version.ts';

/** A namespace that another one inherits from, with its newest version. */
export interface Base {
  readonly id: string;
  readonly organization: string;
  readonly service: string;
  readonly name: string;
  readonly version: number;
  readonly effective: StoredConfiguration;
}

const bases: NamedStatement = {
  name: 'configuration_list_bases',
  text: `select b.id, b.organization, b.service, b.name, v.version, v.effective
    from configuration.extensions e
      join configuration.namespaces b on b.id = e.base_id
      join configuration.versions v on v.namespace_id = b.id and v.version = b.latest_version
    where e.namespace_id = $1 order by e.position`,
};

/** What a namespace inherits from, the strongest last; one without a version gives nothing. */
export async function listBases(tx: Tx, namespaceId: string): Promise<Base[]> {
  return named<Base>(tx, bases, [namespaceId]);
}
