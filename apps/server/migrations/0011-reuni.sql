-- The layer with Reuni's own routes (only used when GATEHOUSE_MODULES names it), and publishing on Redis.
create schema reuni;

-- One row: locked by whoever makes the organization of those who sign up.
create table reuni.sign_up_organization (
  singleton boolean primary key default true check (singleton),
  organization text references identity.organizations (name)
);
insert into reuni.sign_up_organization default values;

-- Reuni's clients know users and organizations by integers.
create table reuni.users (
  id integer generated always as identity primary key,
  uid text not null unique references identity.users (uid) on delete cascade,
  -- The name given at sign-up; null: the user name is shown.
  name text check (length(name) between 1 and 256)
);
create table reuni.organizations (
  id integer generated always as identity primary key,
  organization text not null unique references identity.organizations (name) on delete cascade
);

-- Sessions that began at this layer: only their tokens are accepted there.
create table reuni.sessions (
  session_id text primary key references identity.sessions (id) on delete cascade,
  -- SHA-256 of the refresh token, which has 256 random bits.
  refresh_hash bytea not null unique
);

-- What was told to Redis last. `behind` after a failure: then only the newest version is told, for every message
-- restarts a process.
create table configuration.redis_publications (
  namespace_id text primary key references configuration.namespaces (id) on delete cascade,
  version integer not null check (version >= 0),
  behind boolean not null default false
);
create index redis_publications_behind on configuration.redis_publications (namespace_id) where behind;
