create schema secrets;

-- Identity providers whose tokens are accepted as subject tokens. Gatehouse itself is always one and has no row.
create table secrets.trusted_issuers (
  id text primary key,
  name text not null unique,
  issuer text not null unique,
  jwks_uri text not null,
  algorithms text[] not null,
  -- Accepted audiences of its tokens; empty accepts any.
  audiences text[] not null default '{}',
  created_at timestamptz not null,
  created_by text not null
);

-- One secret of a subject of an issuer, for the services of one organization. `sealed` is gone for good once destroyed;
-- the row stays, so that nobody is handed a fresh secret in place of a destroyed one unawares.
create table secrets.user_secrets (
  id text primary key,
  organization text not null references identity.organizations (name),
  issuer text not null,
  subject text not null,
  sealed bytea,
  status text not null check (status in ('active', 'scheduled', 'destroyed')),
  created_at timestamptz not null,
  destroy_at timestamptz,
  destroyed_at timestamptz,
  unique (organization, issuer, subject),
  check ((status = 'destroyed') = (sealed is null)),
  check ((status = 'scheduled') <= (destroy_at is not null))
);
create index user_secrets_by_subject on secrets.user_secrets (subject, id);
create index user_secrets_scheduled on secrets.user_secrets (destroy_at) where status = 'scheduled';
