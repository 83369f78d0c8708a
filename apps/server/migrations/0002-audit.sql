-- The audit trail. An entry is written in the transaction of what it records and is never changed afterwards.
-- Sealing adds rows beside it: its place in the chain and its hash. See docs/guides/audit-format.md.
create schema audit;

-- `position` orders entries by insertion and does not rest on a clock: if one entry was committed before another was
-- written, its position is lower. Positions have gaps (transactions rolled back); sequences have none.
create table audit.entries (
  position bigint generated always as identity primary key,
  version smallint not null default 1,
  id text not null,
  at timestamptz(3) not null,
  action text not null,
  organization text not null,
  actor_type text not null,
  actor_id text not null,
  target_type text,
  target_id text,
  outcome text not null,
  reason text,
  request_id text,
  address text,
  user_agent text,
  details jsonb not null,
  check (outcome in ('success', 'failure')),
  check (actor_type in ('user', 'service', 'system', 'anonymous')),
  check ((target_type is null) = (target_id is null))
);
create index entries_by_organization on audit.entries (organization, position);

-- Committed entries that have no place in the chain yet: the sealer's queue, a few rows at any time.
create table audit.unsealed (
  position bigint primary key
);

-- The chain: sequence 1, 2, 3 … without gap or repeat. No foreign key to entries: it would be checked row by row in
-- each sealing batch, and entries cannot be deleted.
create table audit.seals (
  sequence bigint primary key check (sequence > 0),
  position bigint not null unique,
  previous_hash bytea not null check (octet_length(previous_hash) = 32),
  hash bytea not null check (octet_length(hash) = 32)
);

-- The last seal. Whoever seals holds the lock on this row; writers of entries never touch it.
create table audit.chain_head (
  only_row boolean primary key default true check (only_row),
  sequence bigint not null,
  hash bytea not null
);
insert into audit.chain_head (sequence, hash) values (0, decode(repeat('00', 32), 'hex'));

-- Signed statements about the chain, themselves chained: each names the SHA-256 of the one before it.
create table audit.checkpoints (
  number bigint primary key check (number > 0),
  sequence bigint not null,
  hash bytea not null,
  at timestamptz(3) not null,
  jws text not null,
  jws_hash bytea not null
);

-- A guard against mistakes and against injected SQL, not against the owner of the database: that is what the chain,
-- the signatures and a checkpoint kept elsewhere are for.
create function audit.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'audit: % of %.% is refused; the audit trail is only ever added to', tg_op, tg_table_schema, tg_table_name
    using errcode = 'restrict_violation';
end
$$;
create trigger append_only before update or delete or truncate on audit.entries
  for each statement execute function audit.refuse_change();
create trigger append_only before update or delete or truncate on audit.seals
  for each statement execute function audit.refuse_change();
create trigger append_only before update or delete or truncate on audit.checkpoints
  for each statement execute function audit.refuse_change();
create trigger append_only before update or truncate on audit.unsealed
  for each statement execute function audit.refuse_change();
create trigger append_only before delete or truncate on audit.chain_head
  for each statement execute function audit.refuse_change();

-- An entry leaves the queue only into the chain.
create function audit.refuse_unsealed_exit() returns trigger language plpgsql as $$
begin
  if exists (select from gone where not exists (select from audit.seals s where s.position = gone.position)) then
    raise exception 'audit: an entry leaves audit.unsealed only when it is sealed' using errcode = 'restrict_violation';
  end if;
  return null;
end
$$;
create trigger sealed_first after delete on audit.unsealed
  referencing old table as gone for each statement execute function audit.refuse_unsealed_exit();

-- The chain only grows.
create function audit.refuse_backward() returns trigger language plpgsql as $$
begin
  if new.sequence <= old.sequence then
    raise exception 'audit: the chain only grows (from % to %)', old.sequence, new.sequence using errcode = 'restrict_violation';
  end if;
  return new;
end
$$;
create trigger only_forward before update on audit.chain_head
  for each row execute function audit.refuse_backward();
