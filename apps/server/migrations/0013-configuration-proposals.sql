-- Configuration: what a version was composed of, client secrets that configurations refer to, proposals.

-- Of each base, in the order of inheritance: its id, the version whose values were taken, and the newest version there
-- was. After a rollback the two differ, and stay so until the base publishes again.
alter table configuration.versions add column bases json not null default '[]';

-- Why the newest values of a base, or a new key, could not be published here; cleared by the next version.
alter table configuration.namespaces add column refresh_problem json;

-- A service's own client secret, kept because configurations refer to it. The services module keeps only its hash; when
-- that one is deleted, or the service, this goes too.
create table configuration.client_secrets (
  service_id text primary key references identity.services (id) on delete cascade,
  secret_id text not null unique references identity.service_secrets (id) on delete cascade,
  organization text not null,
  sealed bytea not null,
  created_at timestamptz not null
);

-- Versions to be: they wait for a second person, for a time, or for both.
create table configuration.proposals (
  id text primary key,
  namespace_id text not null references configuration.namespaces (id) on delete cascade,
  parent_version integer not null check (parent_version >= 0),
  -- What its author wrote, secrets sealed as those of versions are; null for a rollback.
  own json,
  -- The keys of `own` whose secrets were written with this proposal: they go when it comes to nothing.
  fresh_keys json not null default '[]',
  restores integer,
  message text,
  labels jsonb not null default '{}',
  publish_at timestamptz,
  state text not null check (state in ('open', 'scheduled', 'published', 'withdrawn', 'failed')),
  created_at timestamptz not null,
  created_by text not null,
  created_by_type text not null,
  approved_at timestamptz,
  approved_by text,
  approved_by_type text,
  -- The version that it became.
  version integer,
  -- Why it failed: a code, a text, the fields.
  reason json,
  ended_at timestamptz,
  check ((own is null) = (restores is not null)),
  check ((state = 'published') = (version is not null)),
  check (state <> 'scheduled' or publish_at is not null)
);
create index proposals_namespace_id on configuration.proposals (namespace_id, id);
