-- Agents: who may fetch the configuration of a service. And the keyring that signs what they fetch.
alter table keys.keyrings drop constraint keyrings_purpose_check;
alter table keys.keyrings add constraint keyrings_purpose_check
  check (purpose in ('tokens', 'audit', 'pop', 'configuration'));

-- The service's authorization tokens: looked up by hash, shown again from the sealed copy to those who may.
create table configuration.service_tokens (
  id text primary key,
  organization text not null references identity.organizations (name),
  service_id text not null references identity.services (id) on delete cascade,
  service text not null,
  name text not null,
  -- SHA-256 of the token.
  hash bytea not null unique,
  sealed bytea not null,
  -- Whoever holds it may enrol agents, which get secrets.
  may_enrol boolean not null,
  created_at timestamptz not null,
  created_by text not null
);
create index service_tokens_service_id on configuration.service_tokens (service_id);
create index service_tokens_organization on configuration.service_tokens (organization);

-- One agent each, once: taken by a conditional update that all but one lose.
create table configuration.enrolment_tokens (
  id text primary key,
  organization text not null references identity.organizations (name),
  service_id text not null references identity.services (id) on delete cascade,
  service text not null,
  name text,
  hash bytea not null unique,
  created_at timestamptz not null,
  created_by text not null,
  expires_at timestamptz not null,
  used_at timestamptz
);
create index enrolment_tokens_service_id on configuration.enrolment_tokens (service_id);
create index enrolment_tokens_organization on configuration.enrolment_tokens (organization);
create index enrolment_tokens_expires_at on configuration.enrolment_tokens (expires_at);

-- An agent is known by its two public keys; it keeps the private ones. Columns `*_kid` are RFC 7638 thumbprints.
create table configuration.agents (
  id text primary key,
  organization text not null references identity.organizations (name),
  service_id text not null references identity.services (id) on delete cascade,
  service text not null,
  name text not null,
  signature_kid text not null unique,
  signature_jwk jsonb not null,
  encryption_kid text not null unique,
  encryption_jwk jsonb not null,
  -- The enrolment or service token it came with.
  enrolled_with text not null,
  enrolled_at timestamptz not null,
  keys_since timestamptz not null,
  -- When it last asked for an access token: at least every 15 minutes while it lives.
  seen_at timestamptz not null,
  revoked_at timestamptz,
  revoked_by text,
  check ((revoked_at is null) = (revoked_by is null))
);
create index agents_service_id on configuration.agents (service_id, id);
create index agents_organization on configuration.agents (organization);
create index agents_seen_at on configuration.agents (seen_at);

-- Ids of assertions that were used: each is good once, on whichever node.
create table configuration.used_assertions (
  id_hash bytea primary key,
  expires_at timestamptz not null
);
create index used_assertions_expires_at on configuration.used_assertions (expires_at);

-- Agents act, too. Not validated: it only lets in more than before, and the trail may be long.
alter table audit.entries drop constraint entries_actor_type_check;
alter table audit.entries add constraint entries_actor_type_check
  check (actor_type in ('user', 'service', 'agent', 'system', 'anonymous')) not valid;
