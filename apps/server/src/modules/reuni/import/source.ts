import type { JsonValue } from '@gatehouse/contracts';
import pg from 'pg';

/** What a Reuni database holds (`database/14_08_18_schema_dump.sql` of reuni-server). Passwords are never read. */
export interface ReuniSource {
  listUsers(): Promise<{ id: number; name: string; username: string }[]>;
  listOrganizations(): Promise<{ id: number; name: string }[]>;
  listMembers(): Promise<{ organizationId: number; userId: number; role: string }[]>;
  listServices(): Promise<{ organizationId: number; name: string; token: string }[]>;
  listNamespaces(): Promise<SourceNamespace[]>;
  /** Versions above `afterVersion`, in order. */
  listVersions(namespace: SourceNamespace, afterVersion: number): Promise<SourceVersion[]>;
  close(): Promise<void>;
}

/** A namespace, by the original's keys. */
export interface SourceNamespace {
  readonly organizationId: number;
  readonly service: string;
  readonly name: string;
  readonly versions: number;
  readonly newest: number;
}

/** One version. */
export interface SourceVersion {
  readonly version: number;
  readonly parent: number;
  readonly configuration: JsonValue;
  readonly author: string;
  readonly at: string;
}

/** Opens a Reuni database for reading, in one snapshot: what its server writes meanwhile is for the next run. */
export async function openReuniSource(connectionString: string): Promise<ReuniSource> {
  const client = new pg.Client({ connectionString, application_name: 'gatehouse-import', statement_timeout: 60_000 });
  await client.connect();
  await client.query('begin isolation level repeatable read read only');
  const rows = async <R extends pg.QueryResultRow>(text: string, values: unknown[] = []) =>
    (await client.query<R>(text, values)).rows;
  return {
    listUsers: () =>
      rows(`select id, coalesce(name, username) as name, username from public.users
        where username is not null order by id`),
    listOrganizations: () => rows('select id, name from public.organization order by id'),
    listMembers: () =>
      rows(`select organization_id as "organizationId", user_id as "userId", role from public.organization_member
        order by organization_id, user_id`),
    listServices: () =>
      rows(`select organization_id as "organizationId", name, authorization_token as token from public.services
        order by organization_id, name`),
    listNamespaces: () =>
      rows(`select n.organization_id as "organizationId", n.service_name as service, n.namespace as name,
          count(c.version)::int as versions, coalesce(max(c.version), 0)::int as newest
        from public.namespaces n left join public.configurations c using (organization_id, service_name, namespace)
        group by 1, 2, 3 order by 1, 2, 3`),
    listVersions: ({ organizationId, service, name }, afterVersion) =>
      rows(
        `select version, coalesce(parent_version, 0) as parent, config_store as configuration,
            coalesce(created_by, '') as author, coalesce(created_at::text, '') as at
          from public.configurations
          where organization_id = $1 and service_name = $2 and namespace = $3 and version > $4 order by version`,
        [organizationId, service, name, afterVersion],
      ),
    async close() {
      await client.end();
    },
  };
}
