create schema keys;

-- Which root keys this store belongs to. The verifier is a canary sealed under the root key: a node whose key does not
-- open it is refused. More than one row without retired_at only while the root key is being replaced.
create table keys.root_keys (
  id text primary key,
  verifier bytea not null,
  created_at timestamptz not null,
  retired_at timestamptz
);

-- One data key per organization; it seals everything of that organization.
create table keys.data_keys (
  id text primary key,
  organization text not null unique,
  created_at timestamptz not null
);

-- A data key, wrapped by a root key. Two wraps exist only while the root key is being replaced.
create table keys.data_key_wraps (
  data_key_id text not null references keys.data_keys (id) on delete cascade,
  root_key_id text not null references keys.root_keys (id),
  wrapped bytea not null,
  primary key (data_key_id, root_key_id)
);
create index data_key_wraps_root_key_id on keys.data_key_wraps (root_key_id);

-- A set of keys with one purpose, one algorithm and one rotation policy. `version` counts the changes of its keys:
-- a rotation is a compare-and-swap on it. Times of the policy are seconds; `legacy_seconds` counts from activation.
create table keys.keyrings (
  name text primary key,
  organization text not null,
  purpose text not null check (purpose in ('tokens', 'audit', 'pop')),
  use text not null check (use in ('sig', 'enc')),
  algorithm text not null,
  key_bits integer,
  validity_seconds integer not null check (validity_seconds > 0),
  legacy_seconds integer not null check (legacy_seconds > validity_seconds),
  publish_before_seconds integer not null check (publish_before_seconds >= 0),
  min_keys integer not null check (min_keys > 0),
  check_interval_seconds integer not null check (check_interval_seconds > 0),
  initial_count integer not null check (initial_count > 0),
  version bigint not null default 0,
  created_at timestamptz not null
);

-- kid is the RFC 7638 thumbprint. The private key is sealed, and erased once the key may no longer be used.
create table keys.keys (
  kid text primary key,
  keyring text not null references keys.keyrings (name),
  state text not null check (state in ('created', 'valid', 'legacy', 'expired', 'compromised')),
  created_at timestamptz not null,
  ready_at timestamptz not null,
  not_before timestamptz not null,
  not_after timestamptz,
  expire_at timestamptz,
  ended_at timestamptz,
  public_jwk jsonb not null,
  private_sealed bytea,
  constraint keys_private_erased check ((private_sealed is null) = (state in ('expired', 'compromised'))),
  constraint keys_times_known check (state = 'created' or state = 'compromised' or (not_after is not null and expire_at is not null))
);
create index keys_keyring on keys.keys (keyring);
