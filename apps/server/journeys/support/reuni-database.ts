import { createEmptyTestDatabase } from '@gatehouse/testkit';
import pg from 'pg';

/** The tables of Reuni's database, as its dump of 2018 has them, without what nobody reads here. */
const schema = `
  create table public.users (id integer primary key, name varchar, username varchar unique, password varchar,
    email varchar not null unique, created_at timestamp, updated_at timestamp);
  create table public.organization (id integer primary key, name text not null unique,
    created_at timestamp default now() not null, updated_at timestamp default now() not null);
  create table public.organization_member (organization_id integer not null references public.organization on delete cascade,
    user_id integer not null, role text not null check (role in ('Admin', 'Developer', 'Auditor')),
    created_at timestamp default now() not null, updated_at timestamp default now() not null,
    primary key (organization_id, user_id));
  create table public.services (organization_id integer not null references public.organization on delete cascade,
    name text not null unique, created_at timestamp(6) default now() not null, updated_at timestamp default now() not null,
    authorization_token text not null unique, created_by text, primary key (organization_id, name));
  create table public.namespaces (organization_id integer not null, service_name text not null, namespace text not null,
    active_version integer default 1, created_at timestamp default now() not null,
    updated_at timestamp default now() not null, created_by text not null,
    primary key (organization_id, service_name, namespace),
    foreign key (organization_id, service_name) references public.services (organization_id, name) on delete cascade);
  create table public.configurations (organization_id integer not null, service_name text not null,
    namespace text not null, version integer default 1, parent_version integer default 0, config_store jsonb not null,
    created_at timestamp default now(), updated_at timestamp default now(), created_by text,
    primary key (organization_id, service_name, namespace, version),
    foreign key (organization_id, service_name, namespace) references public.namespaces on delete cascade);`;

/** A small made-up Reuni. `token` is the authorization token of the service `billing`. */
export async function createReuniDatabase(token: string) {
  const database = await createEmptyTestDatabase();
  const client = new pg.Client({ connectionString: database.connectionString });
  await client.connect();
  await client.query(schema);
  await client.query(
    `insert into public.users (id, name, username, password, email, created_at) values
      (1, 'Ann Lee', 'ann', 'canary-sha256-of-ann', 'ann@example.com', now()),
      (2, 'Bob', 'bob', 'canary-sha256-of-bob', 'bob@example.com', now())`,
  );
  await client.query("insert into public.organization (id, name) values (7, 'acme'), (8, 'GoSquads')");
  await client.query(
    "insert into public.organization_member (organization_id, user_id, role) values (7, 1, 'Admin'), (7, 2, 'Developer'), (8, 2, 'Auditor')",
  );
  await client.query(
    "insert into public.services (organization_id, name, authorization_token, created_by) values (7, 'billing', $1, 'ann'), (8, 'mail', $2, 'bob')",
    [token, 'B'.repeat(64)],
  );
  await client.query(
    "insert into public.namespaces (organization_id, service_name, namespace, active_version, created_by) values (7, 'billing', 'default', 3, 'ann'), (8, 'mail', 'default', 1, 'bob')",
  );
  const publish = async (version: number, parent: number, configuration: object, by: string) => {
    await client.query(
      `insert into public.configurations (organization_id, service_name, namespace, version, parent_version, config_store,
        created_at, created_by) values (7, 'billing', 'default', $1, $2, $3, '2018-08-15 06:24:44', $4)`,
      [version, parent, JSON.stringify(configuration), by],
    );
  };
  await publish(1, 0, { HOST: 'localhost', RETRIES: 3 }, 'ann');
  await publish(2, 1, { HOST: 'db', RETRIES: '3' }, 'bob');
  await publish(3, 1, { HOST: 'db2' }, 'gone');
  await client.query(
    `insert into public.configurations (organization_id, service_name, namespace, config_store, created_by)
      values (8, 'mail', 'default', '{"A": "1"}', 'bob')`,
  );
  return {
    connectionString: database.connectionString,
    publish,
    query: (text: string) => client.query(text),
    async drop() {
      await client.end();
      await database.drop();
    },
  };
}
