-- Webhooks: who is told of what happened. The outbox is the audit trail itself: an entry is written in the transaction
-- of what it records, and the relay reads sealed entries in their order. Decision: docs/decisions/0013-webhooks.md.

-- An endpoint of an organization; one of `gatehouse` hears of every organization.
create table audit.webhooks (
  id text primary key,
  organization text not null,
  url text not null,
  -- Patterns: an event, `noun.*`, or `*`.
  events text[] not null,
  description text,
  enabled boolean not null,
  -- Why it is not enabled; a webhook that failed for too long still collects what it misses, for a replay.
  disabled_reason text check (disabled_reason in ('by_request', 'failing', 'gone')),
  -- Entries at or before this position were written before the webhook listened.
  from_position bigint not null,
  -- The endpoint's health: attempts that failed since the last that did not, when the first of them was, and until
  -- when the endpoint is left alone.
  failures integer not null default 0,
  failing_since timestamptz,
  held_until timestamptz,
  created_at timestamptz not null,
  created_by text not null,
  updated_at timestamptz not null,
  unique (organization, url),
  check (enabled = (disabled_reason is null))
);
create index webhooks_by_organization on audit.webhooks (organization, id);

-- What signs its deliveries, sealed. Two are valid while one is being replaced.
create table audit.webhook_secrets (
  id text primary key,
  webhook_id text not null references audit.webhooks (id) on delete cascade,
  sealed bytea not null,
  created_at timestamptz not null,
  -- When it signs no longer; null for the newest.
  expires_at timestamptz
);
create index webhook_secrets_by_webhook on audit.webhook_secrets (webhook_id);

-- What is told, once for all endpoints: the exact bytes that are signed and sent, at each attempt the same.
create table audit.webhook_events (
  id text primary key,
  type text not null,
  at timestamptz not null,
  body text not null,
  created_at timestamptz not null
);
create index webhook_events_by_age on audit.webhook_events (created_at);

create table audit.webhook_deliveries (
  id text primary key,
  webhook_id text not null references audit.webhooks (id) on delete cascade,
  event_id text not null references audit.webhook_events (id) on delete cascade,
  state text not null check (state in ('waiting', 'delivered', 'dead')),
  attempts integer not null default 0,
  -- When it is tried next. Whoever tries moves it behind the lease, so that a killed node's work is taken up by another.
  next_attempt_at timestamptz,
  -- Who holds the lease; only that one may write what became of the attempt.
  claim text,
  last_attempt_at timestamptz,
  last_status integer,
  last_error text,
  created_at timestamptz not null,
  unique (webhook_id, event_id),
  check ((state = 'waiting') = (next_attempt_at is not null))
);
create index webhook_deliveries_by_event on audit.webhook_deliveries (event_id);
create index webhook_deliveries_newest on audit.webhook_deliveries (webhook_id, created_at, id);
create index webhook_deliveries_due on audit.webhook_deliveries (webhook_id, next_attempt_at) where state = 'waiting';
create index webhook_deliveries_waiting on audit.webhook_deliveries (next_attempt_at) where state = 'waiting';

-- How far the relay has read the chain. Whoever relays holds the lock on this row.
create table audit.webhook_cursor (
  only_row boolean primary key default true check (only_row),
  sequence bigint not null
);
insert into audit.webhook_cursor (sequence) select sequence from audit.chain_head;
