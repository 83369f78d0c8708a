-- Rollouts: how a new version reaches the instances of a service, and what each of them says about it.

-- How changes reach the instances of a service. A service without a row has the defaults of the code.
create table configuration.rollout_policies (
  service_id text primary key references identity.services (id) on delete cascade,
  max_unavailable integer not null check (max_unavailable >= 1),
  canary_percent integer not null check (canary_percent between 0 and 100),
  bake_seconds integer not null check (bake_seconds >= 0),
  lease_seconds integer not null check (lease_seconds >= 1),
  automatic_rollback boolean not null,
  updated_at timestamptz not null,
  updated_by text not null
);

-- One rollout for each published version. Written under the lock of the namespace, as versions are.
create table configuration.rollouts (
  namespace_id text not null,
  version integer not null,
  state text not null check (state in ('running', 'completed', 'stopped', 'failed', 'superseded')),
  phase text not null check (phase in ('canary', 'canary_bake', 'all', 'final_bake')),
  -- When a bake that is under way ends.
  bake_until timestamptz,
  -- Why it stopped or failed, in plain words, and the instance or person behind it.
  reason text,
  cause jsonb,
  -- How many instances were where when it ended.
  counts jsonb,
  started_at timestamptz not null,
  ended_at timestamptz,
  primary key (namespace_id, version),
  foreign key (namespace_id, version) references configuration.versions (namespace_id, version) on delete cascade,
  check ((bake_until is not null) <= (state = 'running' and phase in ('canary_bake', 'final_bake'))),
  check ((state = 'running') = (ended_at is null))
);
-- The stable version of a namespace is the newest whose rollout completed.
create index rollouts_completed on configuration.rollouts (namespace_id, version) where state = 'completed';
create index rollouts_running on configuration.rollouts (namespace_id) where state = 'running';

-- An instance is one agent with one namespace: who runs what since when.
create table configuration.instances (
  namespace_id text not null references configuration.namespaces (id) on delete cascade,
  agent_id text not null references configuration.agents (id) on delete cascade,
  state text not null check (state in ('waiting', 'received', 'applied', 'rejected', 'healthy', 'unhealthy', 'stopped')),
  -- The version that `state` speaks of; it runs `running_version`.
  version integer not null,
  running_version integer,
  -- Of `running_version`: instances of equal content need no restart. Not known of one that failed to report.
  content_hash text,
  -- False while the process restarts or fails.
  available boolean not null,
  -- Was unhealthy with this content and has not been healthy since.
  failing boolean not null,
  reason text,
  since timestamptz not null,
  last_seen_at timestamptz not null,
  -- The slot it holds: leave to restart with this version.
  slot_version integer,
  -- By when a report that it is healthy or unhealthy has to come; afterwards it counts as unhealthy.
  report_due_at timestamptz,
  primary key (namespace_id, agent_id),
  check ((content_hash is not null) <= (running_version is not null)),
  check ((slot_version is not null) <= (report_due_at is not null))
) with (fillfactor = 70);
create index instances_agent_id on configuration.instances (agent_id);
create index instances_report_due_at on configuration.instances (report_due_at) where report_due_at is not null;

-- Since when the nodes have watched without a break, so that an outage of ours does not make instances look gone.
create table configuration.fleet_watch (
  id boolean primary key default true check (id),
  watching_since timestamptz not null,
  watched_at timestamptz not null
);
