-- Sessions, tokens and what oidc-provider stores. Nothing here can be used as a session, code or token: rows are keyed by
-- SHA-256 of the bearer value, payloads are sealed, and a successor is sealed under a key derived from its predecessor.

-- A sign-in that lives: headless, or a grant to an OAuth client. The id is the claim `sid` of its access tokens.
create table identity.sessions (
  id text primary key,
  kind text not null check (kind in ('headless', 'oauth')),
  user_id text not null references identity.users (uid),
  organization text not null references identity.organizations (name),
  client_id text not null,
  grant_hash bytea unique,
  scope text not null,
  audience text[] not null,
  address text,
  user_agent text,
  authenticated_at timestamptz not null,
  created_at timestamptz not null,
  last_used_at timestamptz not null,
  -- The idle limit moves with each refresh; the absolute one does not.
  expires_at timestamptz not null,
  absolute_expires_at timestamptz not null,
  revoked_at timestamptz,
  revoked_reason text,
  check ((revoked_at is null) = (revoked_reason is null))
);
create index sessions_user_id on identity.sessions (user_id, id);
create index sessions_organization on identity.sessions (organization);
create index sessions_absolute_expires_at on identity.sessions (absolute_expires_at);

create table identity.refresh_tokens (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  session_id text not null references identity.sessions (id) on delete cascade,
  client_id text not null,
  -- Sealed; only for tokens of an OAuth client.
  details bytea,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  successor bytea,
  check ((used_at is null) = (successor is null))
);
create index refresh_tokens_session_id on identity.refresh_tokens (session_id);
create index refresh_tokens_expires_at on identity.refresh_tokens (expires_at);

-- Codes, grants, browser sessions, interactions, device codes and pushed requests of oidc-provider.
create table identity.oauth_artifacts (
  id_hash bytea primary key check (octet_length(id_hash) = 32),
  model text not null,
  sealed bytea not null,
  grant_hash bytea,
  uid_hash bytea,
  user_code_hash bytea,
  user_id text,
  client_id text,
  expires_at timestamptz not null,
  consumed_at timestamptz,
  -- When the answer to the consuming request was complete: who comes after it is no rival but a replay.
  completed_at timestamptz
);
create index oauth_artifacts_grant_hash on identity.oauth_artifacts (grant_hash) where grant_hash is not null;
create index oauth_artifacts_uid_hash on identity.oauth_artifacts (uid_hash) where uid_hash is not null;
create unique index oauth_artifacts_user_code_hash on identity.oauth_artifacts (user_code_hash) where user_code_hash is not null;
create index oauth_artifacts_user_id on identity.oauth_artifacts (user_id) where user_id is not null;
create index oauth_artifacts_expires_at on identity.oauth_artifacts (expires_at);

-- Access tokens that were revoked before their end, by `jti`. A `jti` is no credential.
create table identity.revoked_tokens (
  token_id text primary key,
  expires_at timestamptz not null
);
create index revoked_tokens_expires_at on identity.revoked_tokens (expires_at);

-- Ids that may be used once: `jti` of client assertions and DPoP proofs. The insert decides who was first.
create table identity.used_ids (
  id_hash bytea primary key check (octet_length(id_hash) = 32),
  expires_at timestamptz not null
);
create index used_ids_expires_at on identity.used_ids (expires_at);

-- The master secret behind cookies, sealed artefacts and DPoP nonces, sealed by the keys module.
create table identity.shared_secrets (
  id text primary key,
  sealed bytea not null
);
