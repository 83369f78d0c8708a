-- Configuration: namespaces of services and their immutable versions.
create schema configuration;

create table configuration.namespaces (
  id text primary key,
  organization text not null references identity.organizations (name),
  service_id text not null references identity.services (id) on delete cascade,
  -- The service's name, which never changes: paths are found without asking another module.
  service text not null,
  name text not null check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  -- The newest version; 0 before the first. A publish is a compare-and-swap on it, so numbers have no gap and no repeat.
  latest_version integer not null default 0 check (latest_version >= 0),
  -- Namespaces of other services of the organization may extend it.
  shared boolean not null default false,
  -- JSON Schema that every published configuration has to fit.
  value_schema json,
  -- A second person publishes what the first has proposed.
  review_required boolean not null default false,
  labels jsonb not null default '{}',
  created_at timestamptz not null,
  created_by text not null,
  updated_at timestamptz not null,
  unique (service_id, name),
  unique (organization, service, name)
);

-- What a namespace inherits from, the strongest last. A namespace that others extend cannot be deleted.
create table configuration.extensions (
  namespace_id text not null references configuration.namespaces (id) on delete cascade,
  position integer not null,
  base_id text not null references configuration.namespaces (id),
  primary key (namespace_id, position),
  unique (namespace_id, base_id),
  check (namespace_id <> base_id)
);
create index extensions_base_id on configuration.extensions (base_id);

-- `json`, not `jsonb`: people find their keys again in the order in which they wrote them.
create table configuration.versions (
  namespace_id text not null references configuration.namespaces (id) on delete cascade,
  version integer not null check (version >= 1),
  parent_version integer not null check (parent_version >= 0 and parent_version < version),
  -- What its author wrote. A secret is {"$secret": {"id", "fingerprint"}}.
  own json not null,
  -- With what it inherits and refers to, as of its publication: what instances get.
  effective json not null,
  -- Where each key of `effective` comes from.
  sources json not null,
  -- Of what agents get (packages/configuration/src/bundle.ts): equal for equal content.
  content_hash text not null,
  hash text not null,
  previous_hash text not null,
  kind text not null check (kind in ('author', 'rollback', 'refresh', 'automatic_rollback')),
  restores integer,
  cause json,
  message text,
  labels jsonb not null default '{}',
  created_at timestamptz not null,
  created_by text not null,
  primary key (namespace_id, version),
  check ((kind in ('rollback', 'automatic_rollback')) = (restores is not null))
);

-- Secret values, written once and never changed. They go with their namespace.
create table configuration.secret_values (
  id text primary key,
  namespace_id text not null references configuration.namespaces (id) on delete cascade,
  sealed bytea not null,
  fingerprint text not null,
  created_at timestamptz not null
);
create index secret_values_namespace_id on configuration.secret_values (namespace_id);

-- What of Gatehouse's own the newest version of a namespace refers to: who has to be published anew when it rotates.
create table configuration.used_references (
  namespace_id text not null references configuration.namespaces (id) on delete cascade,
  kind text not null check (kind in ('key', 'client')),
  -- The name of a keyring, or the id of a service.
  target text not null,
  primary key (namespace_id, kind, target)
);
create index used_references_target on configuration.used_references (kind, target);
