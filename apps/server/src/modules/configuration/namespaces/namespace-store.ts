import type { JsonObject } from '@gatehouse/contracts';
import { type NamedStatement, named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { Namespace, NamespaceSettings } from './namespace.ts';

interface NamespaceRow {
  id: string;
  organization: string;
  service_id: string;
  service: string;
  name: string;
  latest_version: number;
  shared: boolean;
  value_schema: JsonObject | null;
  review_required: boolean;
  labels: Record<string, string>;
  refresh_problem: JsonObject | null;
  created_at: Date;
  created_by: string;
  updated_at: Date;
  extends: string[];
}

const toNamespace = (row: NamespaceRow): Namespace => ({
  id: row.id,
  organization: row.organization,
  serviceId: row.service_id,
  service: row.service,
  name: row.name,
  latestVersion: row.latest_version,
  extends: row.extends,
  shared: row.shared,
  schema: row.value_schema ?? undefined,
  reviewRequired: row.review_required,
  labels: row.labels,
  refreshProblem: row.refresh_problem ?? undefined,
  createdAt: row.created_at,
  createdBy: row.created_by,
  updatedAt: row.updated_at,
});

const columns = `n.id, n.organization, n.service_id, n.service, n.name, n.latest_version, n.shared, n.value_schema,
  n.review_required, n.labels, n.refresh_problem, n.created_at, n.created_by, n.updated_at,
  array(select case when b.service = n.service then b.name else b.service || '/' || b.name end
    from configuration.extensions e join configuration.namespaces b on b.id = e.base_id
    where e.namespace_id = n.id order by e.position) as extends`;

const byName: NamedStatement = {
  name: 'configuration_find_namespace',
  text: `select ${columns} from configuration.namespaces n where n.organization = $1 and n.service = $2 and n.name = $3`,
};
const byId: NamedStatement = {
  name: 'configuration_find_namespace_by_id',
  text: `select ${columns} from configuration.namespaces n where n.id = $1`,
};
const lockById: NamedStatement = {
  name: 'configuration_lock_namespace',
  text: 'select id from configuration.namespaces where id = $1 for update',
};
const ofService: NamedStatement = {
  name: 'configuration_list_namespaces',
  text: `select ${columns} from configuration.namespaces n
    where n.organization = $1 and n.service = $2 and n.name > $3
      and ($5::jsonb is null or n.labels @> $5) order by n.name limit $4`,
};

/** The namespace of this name. */
export async function findNamespace(
  tx: Reader,
  organization: string,
  service: string,
  name: string,
): Promise<Namespace | undefined> {
  const [row] = await named<NamespaceRow>(tx, byName, [organization, service, name]);
  return row && toNamespace(row);
}

/** The namespace with this id. */
export async function findNamespaceById(tx: Reader, id: string): Promise<Namespace | undefined> {
  const [row] = await named<NamespaceRow>(tx, byId, [id]);
  return row && toNamespace(row);
}

/**
 * The namespace with this id, locked: its next version is the caller's. Locked first and read then, both sent at once: a
 * statement that waited for the lock would still see the inheritance of before.
 */
export async function findNamespaceForUpdate(tx: Tx, id: string): Promise<Namespace | undefined> {
  const [, namespace] = await Promise.all([named(tx, lockById, [id]), findNamespaceById(tx, id)]);
  return namespace;
}

/** Namespaces of a service by name, after `afterName`. */
export async function listNamespaces(
  tx: Reader,
  organization: string,
  service: string,
  page: { afterName?: string | undefined; limit: number; label?: Readonly<Record<string, string>> | undefined },
): Promise<Namespace[]> {
  const { afterName = '', limit, label } = page;
  const values = [organization, service, afterName, limit, label === undefined ? null : JSON.stringify(label)];
  return (await named<NamespaceRow>(tx, ofService, values)).map(toNamespace);
}

const countOfService: NamedStatement = {
  name: 'configuration_count_namespaces',
  text: 'select count(*)::int as count from configuration.namespaces where service_id = $1',
};

/** How many namespaces a service has. */
export async function countNamespaces(tx: Tx, serviceId: string): Promise<number> {
  const [row] = await named<{ count: number }>(tx, countOfService, [serviceId]);
  return row?.count ?? 0;
}

/** Writes a new namespace without a version; false when the service has one of this name. */
export async function insertNamespace(tx: Tx, namespace: Namespace): Promise<boolean> {
  const row = await tx
    .insertInto('configuration.namespaces')
    .values({
      id: namespace.id,
      organization: namespace.organization,
      service_id: namespace.serviceId,
      service: namespace.service,
      name: namespace.name,
      latest_version: namespace.latestVersion,
      shared: namespace.shared,
      value_schema: namespace.schema === undefined ? null : JSON.stringify(namespace.schema),
      review_required: namespace.reviewRequired,
      labels: JSON.stringify(namespace.labels),
      created_at: namespace.createdAt,
      created_by: namespace.createdBy,
      updated_at: namespace.updatedAt,
    })
    .onConflict((conflict) => conflict.columns(['service_id', 'name']).doNothing())
    .returning('id')
    .executeTakeFirst();
  return row !== undefined;
}

/** Replaces the settings; the inheritance has a table of its own. */
export async function updateNamespaceSettings(
  tx: Tx,
  id: string,
  settings: Omit<NamespaceSettings, 'extends'>,
  now: Date,
): Promise<void> {
  await tx
    .updateTable('configuration.namespaces')
    .set({
      shared: settings.shared,
      value_schema: settings.schema === undefined ? null : JSON.stringify(settings.schema),
      review_required: settings.reviewRequired,
      labels: JSON.stringify(settings.labels),
      updated_at: now,
    })
    .where('id', '=', id)
    .execute();
}

/** Removes a namespace with its versions and secrets. */
export async function deleteNamespaceRow(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('configuration.namespaces').where('id', '=', id).execute();
}

const advance: NamedStatement = {
  name: 'configuration_advance_namespace',
  text: `update configuration.namespaces set latest_version = $2, updated_at = $3, refresh_problem = null
    where id = $1 and latest_version = $2 - 1 returning id`,
};

/** Makes `version` the newest one; false when it is not the successor of the present one. */
export async function advanceVersion(tx: Tx, id: string, version: number, now: Date): Promise<boolean> {
  return (await named(tx, advance, [id, version, now])).length === 1;
}

const setProblem: NamedStatement = {
  name: 'configuration_set_refresh_problem',
  text: 'update configuration.namespaces set refresh_problem = $2 where id = $1',
};

/** Notes, or clears, why the namespace could not be published anew. */
export async function updateRefreshProblem(tx: Tx, id: string, problem: JsonObject | undefined): Promise<void> {
  await named(tx, setProblem, [id, problem === undefined ? null : JSON.stringify(problem)]);
}
