import { type NamedStatement, named, type Reader } from '../../../kernel/index.ts';

/** A namespace as those who fetch it name it. */
export interface NamespaceKey {
  readonly organization: string;
  readonly service: string;
  readonly name: string;
}

/** Where a namespace stands. */
export interface NamespaceHead extends NamespaceKey {
  readonly id: string;
  readonly latestVersion: number;
}

/** Equal names for equal namespaces. No part can hold a slash. */
export function nameOfKey({ organization, service, name }: NamespaceKey): string {
  return `${organization}/${service}/${name}`;
}

const heads: NamedStatement = {
  name: 'configuration_list_heads',
  text: `select n.id, n.organization, n.service, n.name, n.latest_version
    from unnest($1::text[], $2::text[], $3::text[]) as wanted (organization, service, name)
      join configuration.namespaces n using (organization, service, name)`,
};

interface HeadRow {
  id: string;
  organization: string;
  service: string;
  name: string;
  latest_version: number;
}

/** Where these namespaces stand, by {@link nameOfKey}. */
export async function listHeads(tx: Reader, keys: readonly NamespaceKey[]): Promise<Map<string, NamespaceHead>> {
  const rows = await named<HeadRow>(tx, heads, [
    keys.map((key) => key.organization),
    keys.map((key) => key.service),
    keys.map((key) => key.name),
  ]);
  return new Map(
    rows.map(({ latest_version, ...row }) => [nameOfKey(row), { ...row, latestVersion: latest_version }] as const),
  );
}

const newest: NamedStatement = {
  name: 'configuration_list_newest_versions',
  text: 'select id, latest_version from configuration.namespaces where id = any($1)',
};

/** The newest version of each of these namespaces; those that are gone are not there. */
export async function listNewestVersions(tx: Reader, ids: readonly string[]): Promise<Map<string, number>> {
  const rows = await named<{ id: string; latest_version: number }>(tx, newest, [[...ids]]);
  return new Map(rows.map((row) => [row.id, row.latest_version]));
}
