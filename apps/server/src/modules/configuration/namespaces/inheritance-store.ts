import { type NamedStatement, named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { Extension } from './inheritance-rules.ts';

const lock: NamedStatement = {
  name: 'configuration_lock_inheritance',
  text: `select pg_advisory_xact_lock(hashtextextended('configuration.extensions ' || $1, 0))`,
};

/**
 * One transaction at a time changes who inherits from whom in an organization: two could otherwise make a cycle that
 * neither sees. Taken after a lock on the service, before one on a namespace.
 */
export async function lockInheritance(tx: Tx, organization: string): Promise<void> {
  await named(tx, lock, [organization]);
}

/** A namespace that may be extended. */
export interface BaseCandidate {
  readonly id: string;
  readonly service: string;
  readonly name: string;
  readonly shared: boolean;
}

const byNames: NamedStatement = {
  name: 'configuration_find_bases_by_name',
  text: `select n.id, n.service, n.name, n.shared from configuration.namespaces n
    join unnest($2::text[], $3::text[]) as wanted (service, name) on wanted.service = n.service and wanted.name = n.name
    where n.organization = $1`,
};

/** The namespaces of an organization with these names. */
export async function listByNames(
  tx: Tx,
  organization: string,
  names: readonly { service: string; name: string }[],
): Promise<BaseCandidate[]> {
  const services = names.map((one) => one.service);
  return named<BaseCandidate>(tx, byNames, [organization, services, names.map((one) => one.name)]);
}

const family: NamedStatement = {
  name: 'configuration_list_extensions_around',
  text: `with recursive above (namespace_id, base_id) as (
      select namespace_id, base_id from configuration.extensions where namespace_id = any($2::text[])
      union select e.namespace_id, e.base_id from configuration.extensions e join above on e.namespace_id = above.base_id),
    below (namespace_id, base_id) as (
      select namespace_id, base_id from configuration.extensions where base_id = $1
      union select e.namespace_id, e.base_id from configuration.extensions e join below on e.base_id = below.namespace_id)
    select n.id, n.service || '/' || n.name as name, b.id as "baseId", b.service || '/' || b.name as "baseName"
    from (select * from above union select * from below) e
      join configuration.namespaces n on n.id = e.namespace_id join configuration.namespaces b on b.id = e.base_id`,
};

/** Every extension above these bases and below this namespace. */
export async function listExtensionsAround(tx: Tx, id: string, baseIds: readonly string[]): Promise<Extension[]> {
  return named<Extension>(tx, family, [id, [...baseIds]]);
}

const sharedBelow: NamedStatement = {
  name: 'configuration_is_passed_on',
  text: `with recursive below (id) as (
      select $1::text union select e.namespace_id from configuration.extensions e join below on e.base_id = below.id)
    select 1 as found from below join configuration.namespaces n using (id) where n.shared limit 1`,
};

/** True when the namespace, or one that inherits from it, is shared: its values may reach other services. */
export async function isPassedOn(tx: Tx, id: string): Promise<boolean> {
  return (await named(tx, sharedBelow, [id])).length > 0;
}

const dependents: NamedStatement = {
  name: 'configuration_list_dependents',
  text: `select n.id, n.service, n.name from configuration.extensions e join configuration.namespaces n on n.id = e.namespace_id
    where e.base_id = $1 and n.id > $2 order by n.id limit $3`,
};

/** A namespace that extends another one. */
export interface Dependent {
  readonly id: string;
  readonly service: string;
  readonly name: string;
}

/** Namespaces that extend this one, by id, after `afterId`. */
export async function listDependents(
  tx: Reader,
  baseId: string,
  { afterId = '', limit }: { afterId?: string | undefined; limit: number },
): Promise<Dependent[]> {
  return named<Dependent>(tx, dependents, [baseId, afterId, limit]);
}

const foreign: NamedStatement = {
  name: 'configuration_list_foreign_dependents',
  text: `select b.service || '/' || b.name as base, n.service || '/' || n.name as name
    from configuration.namespaces b join configuration.extensions e on e.base_id = b.id
      join configuration.namespaces n on n.id = e.namespace_id
    where b.service_id = $1 and ($2::text is null or b.id = $2) and n.service_id <> b.service_id order by 1, 2 limit 11`,
};

/** Namespaces of other services that extend one of this service's, or this one. */
export async function listForeignDependents(
  tx: Tx,
  serviceId: string,
  namespaceId?: string,
): Promise<{ base: string; name: string }[]> {
  return named<{ base: string; name: string }>(tx, foreign, [serviceId, namespaceId ?? null]);
}

/** Replaces what the namespace inherits from, the strongest last. */
export async function replaceExtensions(tx: Tx, namespaceId: string, baseIds: readonly string[]): Promise<void> {
  await tx.deleteFrom('configuration.extensions').where('namespace_id', '=', namespaceId).execute();
  if (baseIds.length === 0) return;
  await tx
    .insertInto('configuration.extensions')
    .values(baseIds.map((base_id, position) => ({ namespace_id: namespaceId, position, base_id })))
    .execute();
}

const removeOfService: NamedStatement = {
  name: 'configuration_delete_extensions_of_service',
  text: `delete from configuration.extensions e using configuration.namespaces n
    where n.id = e.namespace_id and n.service_id = $1`,
};

/** Removes what the namespaces of a service inherit, before they go with it: row by row they would be in each other's way. */
export async function deleteExtensionsOfService(tx: Tx, serviceId: string): Promise<void> {
  await named(tx, removeOfService, [serviceId]);
}
