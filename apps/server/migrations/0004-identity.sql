-- Accounts: organizations, users, passwords, roles, services, and how the first operator comes to be.
create schema identity;

-- An organization's name never changes: client ids and audiences are made of it, so other tables refer to the name.
create table identity.organizations (
  id text primary key,
  name text not null unique check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  status text not null default 'active' check (status in ('active', 'suspended')),
  created_at timestamptz not null,
  created_by text not null
);

-- Every value that was ever a token's `sub`: uids and client ids. A row is never deleted, so none is given out twice,
-- and a user can never stand where a service stood.
create table identity.subjects (
  subject text primary key check (length(subject) between 1 and 128),
  kind text not null check (kind in ('user', 'service')),
  created_at timestamptz not null
);

create table identity.users (
  uid text primary key references identity.subjects (subject),
  -- The organization that made the account and administers it.
  organization text not null references identity.organizations (name),
  username text not null check (length(username) between 1 and 128),
  -- The username normalised (NFKC) and case-folded: what has to be unique.
  username_key text not null unique,
  status text not null default 'active' check (status in ('active', 'archived', 'deactivated')),
  last_login timestamptz,
  last_login_attempt timestamptz,
  created_at timestamptz not null,
  created_by text not null
);
create index users_organization on identity.users (organization, uid);

-- In which organizations a user acts, and as what. Role ids, never names.
create table identity.memberships (
  organization text not null references identity.organizations (name),
  uid text not null references identity.users (uid),
  role_ids text[] not null default '{}',
  created_at timestamptz not null,
  created_by text not null,
  primary key (organization, uid)
);
create index memberships_uid on identity.memberships (uid);
create index memberships_role_ids on identity.memberships using gin (role_ids);

-- Apart from the users, so that no query about users can show a hash by accident.
create table identity.password_credentials (
  uid text primary key references identity.users (uid),
  -- argon2id in PHC form; an imported bcrypt, scrypt or PBKDF2 hash until its owner's next sign-in.
  hash text not null check (length(hash) <= 512),
  changed_at timestamptz not null
);

-- Guesses per account, per source address and per both. Keys are hashes: a dump shows neither names nor addresses.
create table identity.sign_in_throttles (
  key bytea primary key,
  failures integer not null,
  -- Attempts refused since the last one that was let through.
  refused integer not null default 0,
  blocked_until timestamptz,
  -- Only for account and address together: the account has signed in from there, and is not held up by others' guesses.
  trusted_until timestamptz,
  updated_at timestamptz not null
);
create index sign_in_throttles_updated_at on identity.sign_in_throttles (updated_at);

create table identity.services (
  id text primary key,
  organization text not null references identity.organizations (name),
  name text not null check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  client_id text not null unique references identity.subjects (subject),
  audience text not null check (length(audience) between 1 and 255),
  status text not null default 'active' check (status in ('active', 'suspended')),
  authentication text not null check (authentication in ('client_secret', 'private_key_jwt', 'none')),
  pop_url text,
  jwks jsonb,
  grants text[] not null default '{}',
  redirect_uris text[] not null default '{}',
  post_logout_redirect_uris text[] not null default '{}',
  first_party boolean not null default false,
  id_token_signed_response_alg text not null default 'ES256',
  -- Roles of the service's own account: what a client-credentials token may do.
  role_ids text[] not null default '{}',
  created_at timestamptz not null,
  created_by text not null,
  unique (organization, name),
  unique (organization, audience),
  check (client_id = organization || '.' || name),
  check (pop_url is null or jwks is null)
);
create index services_audience on identity.services (audience);
create index services_role_ids on identity.services using gin (role_ids);

-- Two may be alive at once, so that one can be replaced without an interruption.
create table identity.service_secrets (
  id text primary key,
  service_id text not null references identity.services (id) on delete cascade,
  -- SHA-256; the secret is 256 random bits, so there is nothing to guess and no need for a slow hash.
  hash bytea not null,
  created_at timestamptz not null,
  created_by text not null,
  expires_at timestamptz
);
create index service_secrets_service_id on identity.service_secrets (service_id);

create table identity.roles (
  id text primary key,
  organization text not null references identity.organizations (name),
  -- Set for a role of a service, whose full name is `<service>:<name>`.
  service text,
  name text not null check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  -- Empty for built-in roles: what those may do is said by the release (packages/contracts/src/permissions.ts).
  permissions text[] not null default '{}',
  built_in boolean not null default false,
  created_at timestamptz not null,
  created_by text not null,
  unique nulls not distinct (organization, service, name),
  foreign key (organization, service) references identity.services (organization, name)
);

-- One row: locked by whoever makes the first operator, so that there is one first operator.
create table identity.bootstrap (
  singleton boolean primary key default true check (singleton),
  completed_at timestamptz,
  completed_by text
);
insert into identity.bootstrap default values;

-- Codes of the set-up links that were printed while there was no operator. Hashes; gone when the first operator is there.
create table identity.setup_codes (
  hash bytea primary key,
  created_at timestamptz not null
);

-- The built-in organization of the operators, and its roles.
insert into identity.organizations (id, name, created_at, created_by) values ('org_gatehouse', 'gatehouse', now(), 'system');
insert into identity.roles (id, organization, name, built_in, created_at, created_by) values
  ('rol_gatehouse_admin', 'gatehouse', 'admin', true, now(), 'system'),
  ('rol_gatehouse_developer', 'gatehouse', 'developer', true, now(), 'system'),
  ('rol_gatehouse_auditor', 'gatehouse', 'auditor', true, now(), 'system');
