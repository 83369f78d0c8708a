-- Generated from apps/server/migrations by `npm run generate`; do not edit.

create table audit.chain_head (
  only_row boolean not null default true,
  sequence bigint not null,
  hash bytea not null,
  constraint chain_head_pkey PRIMARY KEY (only_row),
  constraint chain_head_only_row_check CHECK (only_row)
);
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON audit.chain_head FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER only_forward BEFORE UPDATE ON audit.chain_head FOR EACH ROW EXECUTE FUNCTION audit.refuse_backward();

create table audit.checkpoints (
  number bigint not null,
  sequence bigint not null,
  hash bytea not null,
  at timestamp(3) with time zone not null,
  jws text not null,
  jws_hash bytea not null,
  constraint checkpoints_pkey PRIMARY KEY (number),
  constraint checkpoints_number_check CHECK ((number > 0))
);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.checkpoints FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

create table audit.entries (
  position bigint not null generated always as identity,
  version smallint not null default 1,
  id text not null,
  at timestamp(3) with time zone not null,
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
  constraint entries_pkey PRIMARY KEY ("position"),
  constraint entries_actor_type_check CHECK ((actor_type = ANY (ARRAY['user'::text, 'service'::text, 'agent'::text, 'system'::text, 'anonymous'::text]))) NOT VALID,
  constraint entries_check CHECK (((target_type IS NULL) = (target_id IS NULL))),
  constraint entries_outcome_check CHECK ((outcome = ANY (ARRAY['success'::text, 'failure'::text])))
);
CREATE INDEX entries_by_organization ON audit.entries USING btree (organization, "position");
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.entries FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

create table audit.seals (
  sequence bigint not null,
  position bigint not null,
  previous_hash bytea not null,
  hash bytea not null,
  constraint seals_position_key UNIQUE ("position"),
  constraint seals_pkey PRIMARY KEY (sequence),
  constraint seals_hash_check CHECK ((octet_length(hash) = 32)),
  constraint seals_previous_hash_check CHECK ((octet_length(previous_hash) = 32)),
  constraint seals_sequence_check CHECK ((sequence > 0))
);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.seals FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

create table audit.unsealed (
  position bigint not null,
  constraint unsealed_pkey PRIMARY KEY ("position")
);
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON audit.unsealed FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER sealed_first AFTER DELETE ON audit.unsealed REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_unsealed_exit();

create table audit.webhook_cursor (
  only_row boolean not null default true,
  sequence bigint not null,
  constraint webhook_cursor_pkey PRIMARY KEY (only_row),
  constraint webhook_cursor_only_row_check CHECK (only_row)
);

create table audit.webhook_deliveries (
  id text not null,
  webhook_id text not null,
  event_id text not null,
  state text not null,
  attempts integer not null default 0,
  next_attempt_at timestamp with time zone,
  claim text,
  last_attempt_at timestamp with time zone,
  last_status integer,
  last_error text,
  created_at timestamp with time zone not null,
  constraint webhook_deliveries_webhook_id_event_id_key UNIQUE (webhook_id, event_id),
  constraint webhook_deliveries_pkey PRIMARY KEY (id),
  constraint webhook_deliveries_event_id_fkey FOREIGN KEY (event_id) REFERENCES audit.webhook_events(id) ON DELETE CASCADE,
  constraint webhook_deliveries_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES audit.webhooks(id) ON DELETE CASCADE,
  constraint webhook_deliveries_check CHECK (((state = 'waiting'::text) = (next_attempt_at IS NOT NULL))),
  constraint webhook_deliveries_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'delivered'::text, 'dead'::text])))
);
CREATE INDEX webhook_deliveries_by_event ON audit.webhook_deliveries USING btree (event_id);
CREATE INDEX webhook_deliveries_due ON audit.webhook_deliveries USING btree (webhook_id, next_attempt_at) WHERE (state = 'waiting'::text);
CREATE INDEX webhook_deliveries_newest ON audit.webhook_deliveries USING btree (webhook_id, created_at, id);
CREATE INDEX webhook_deliveries_waiting ON audit.webhook_deliveries USING btree (next_attempt_at) WHERE (state = 'waiting'::text);

create table audit.webhook_events (
  id text not null,
  type text not null,
  at timestamp with time zone not null,
  body text not null,
  created_at timestamp with time zone not null,
  constraint webhook_events_pkey PRIMARY KEY (id)
);
CREATE INDEX webhook_events_by_age ON audit.webhook_events USING btree (created_at);

create table audit.webhook_secrets (
  id text not null,
  webhook_id text not null,
  sealed bytea not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone,
  constraint webhook_secrets_pkey PRIMARY KEY (id),
  constraint webhook_secrets_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES audit.webhooks(id) ON DELETE CASCADE
);
CREATE INDEX webhook_secrets_by_webhook ON audit.webhook_secrets USING btree (webhook_id);

create table audit.webhooks (
  id text not null,
  organization text not null,
  url text not null,
  events text[] not null,
  description text,
  enabled boolean not null,
  disabled_reason text,
  from_position bigint not null,
  failures integer not null default 0,
  failing_since timestamp with time zone,
  held_until timestamp with time zone,
  created_at timestamp with time zone not null,
  created_by text not null,
  updated_at timestamp with time zone not null,
  constraint webhooks_organization_url_key UNIQUE (organization, url),
  constraint webhooks_pkey PRIMARY KEY (id),
  constraint webhooks_check CHECK ((enabled = (disabled_reason IS NULL))),
  constraint webhooks_disabled_reason_check CHECK ((disabled_reason = ANY (ARRAY['by_request'::text, 'failing'::text, 'gone'::text])))
);
CREATE INDEX webhooks_by_organization ON audit.webhooks USING btree (organization, id);

create table configuration.agents (
  id text not null,
  organization text not null,
  service_id text not null,
  service text not null,
  name text not null,
  signature_kid text not null,
  signature_jwk jsonb not null,
  encryption_kid text not null,
  encryption_jwk jsonb not null,
  enrolled_with text not null,
  enrolled_at timestamp with time zone not null,
  keys_since timestamp with time zone not null,
  seen_at timestamp with time zone not null,
  revoked_at timestamp with time zone,
  revoked_by text,
  constraint agents_encryption_kid_key UNIQUE (encryption_kid),
  constraint agents_signature_kid_key UNIQUE (signature_kid),
  constraint agents_pkey PRIMARY KEY (id),
  constraint agents_organization_fkey FOREIGN KEY (organization) REFERENCES identity.organizations(name),
  constraint agents_service_id_fkey FOREIGN KEY (service_id) REFERENCES identity.services(id) ON DELETE CASCADE,
  constraint agents_check CHECK (((revoked_at IS NULL) = (revoked_by IS NULL)))
);
CREATE INDEX agents_organization ON configuration.agents USING btree (organization);
CREATE INDEX agents_seen_at ON configuration.agents USING btree (seen_at);
CREATE INDEX agents_service_id ON configuration.agents USING btree (service_id, id);

create table configuration.client_secrets (
  service_id text not null,
  secret_id text not null,
  organization text not null,
  sealed bytea not null,
  created_at timestamp with time zone not null,
  constraint client_secrets_secret_id_key UNIQUE (secret_id),
  constraint client_secrets_pkey PRIMARY KEY (service_id),
  constraint client_secrets_secret_id_fkey FOREIGN KEY (secret_id) REFERENCES identity.service_secrets(id) ON DELETE CASCADE,
  constraint client_secrets_service_id_fkey FOREIGN KEY (service_id) REFERENCES identity.services(id) ON DELETE CASCADE
);

create table configuration.enrolment_tokens (
  id text not null,
  organization text not null,
  service_id text not null,
  service text not null,
  name text,
  hash bytea not null,
  created_at timestamp with time zone not null,
  created_by text not null,
  expires_at timestamp with time zone not null,
  used_at timestamp with time zone,
  constraint enrolment_tokens_hash_key UNIQUE (hash),
  constraint enrolment_tokens_pkey PRIMARY KEY (id),
  constraint enrolment_tokens_organization_fkey FOREIGN KEY (organization) REFERENCES identity.organizations(name),
  constraint enrolment_tokens_service_id_fkey FOREIGN KEY (service_id) REFERENCES identity.services(id) ON DELETE CASCADE
);
CREATE INDEX enrolment_tokens_expires_at ON configuration.enrolment_tokens USING btree (expires_at);
CREATE INDEX enrolment_tokens_organization ON configuration.enrolment_tokens USING btree (organization);
CREATE INDEX enrolment_tokens_service_id ON configuration.enrolment_tokens USING btree (service_id);

create table configuration.extensions (
  namespace_id text not null,
  position integer not null,
  base_id text not null,
  constraint extensions_namespace_id_base_id_key UNIQUE (namespace_id, base_id),
  constraint extensions_pkey PRIMARY KEY (namespace_id, "position"),
  constraint extensions_base_id_fkey FOREIGN KEY (base_id) REFERENCES configuration.namespaces(id),
  constraint extensions_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES configuration.namespaces(id) ON DELETE CASCADE,
  constraint extensions_check CHECK ((namespace_id <> base_id))
);
CREATE INDEX extensions_base_id ON configuration.extensions USING btree (base_id);

create table configuration.fleet_watch (
  id boolean not null default true,
  watching_since timestamp with time zone not null,
  watched_at timestamp with time zone not null,
  constraint fleet_watch_pkey PRIMARY KEY (id),
  constraint fleet_watch_id_check CHECK (id)
);

create table configuration.instances (
  namespace_id text not null,
  agent_id text not null,
  state text not null,
  version integer not null,
  running_version integer,
  content_hash text,
  available boolean not null,
  failing boolean not null,
  reason text,
  since timestamp with time zone not null,
  last_seen_at timestamp with time zone not null,
  slot_version integer,
  report_due_at timestamp with time zone,
  constraint instances_pkey PRIMARY KEY (namespace_id, agent_id),
  constraint instances_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES configuration.agents(id) ON DELETE CASCADE,
  constraint instances_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES configuration.namespaces(id) ON DELETE CASCADE,
  constraint instances_check CHECK (((content_hash IS NOT NULL) <= (running_version IS NOT NULL))),
  constraint instances_check1 CHECK (((slot_version IS NOT NULL) <= (report_due_at IS NOT NULL))),
  constraint instances_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'received'::text, 'applied'::text, 'rejected'::text, 'healthy'::text, 'unhealthy'::text, 'stopped'::text])))
);
CREATE INDEX instances_agent_id ON configuration.instances USING btree (agent_id);
CREATE INDEX instances_report_due_at ON configuration.instances USING btree (report_due_at) WHERE (report_due_at IS NOT NULL);

create table configuration.namespaces (
  id text not null,
  organization text not null,
  service_id text not null,
  service text not null,
  name text not null,
  latest_version integer not null default 0,
  shared boolean not null default false,
  value_schema json,
  review_required boolean not null default false,
  labels jsonb not null default '{}'::jsonb,
  created_at timestamp with time zone not null,
  created_by text not null,
  updated_at timestamp with time zone not null,
  refresh_problem json,
  constraint namespaces_organization_service_name_key UNIQUE (organization, service, name),
  constraint namespaces_service_id_name_key UNIQUE (service_id, name),
  constraint namespaces_pkey PRIMARY KEY (id),
  constraint namespaces_organization_fkey FOREIGN KEY (organization) REFERENCES identity.organizations(name),
  constraint namespaces_service_id_fkey FOREIGN KEY (service_id) REFERENCES identity.services(id) ON DELETE CASCADE,
  constraint namespaces_latest_version_check CHECK ((latest_version >= 0)),
  constraint namespaces_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'::text))
);

create table configuration.proposals (
  id text not null,
  namespace_id text not null,
  parent_version integer not null,
  own json,
  fresh_keys json not null default '[]'::json,
  restores integer,
  message text,
  labels jsonb not null default '{}'::jsonb,
  publish_at timestamp with time zone,
  state text not null,
  created_at timestamp with time zone not null,
  created_by text not null,
  created_by_type text not null,
  approved_at timestamp with time zone,
  approved_by text,
  approved_by_type text,
  version integer,
  reason json,
  ended_at timestamp with time zone,
  constraint proposals_pkey PRIMARY KEY (id),
  constraint proposals_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES configuration.namespaces(id) ON DELETE CASCADE,
  constraint proposals_check CHECK (((own IS NULL) = (restores IS NOT NULL))),
  constraint proposals_check1 CHECK (((state = 'published'::text) = (version IS NOT NULL))),
  constraint proposals_check2 CHECK (((state <> 'scheduled'::text) OR (publish_at IS NOT NULL))),
  constraint proposals_parent_version_check CHECK ((parent_version >= 0)),
  constraint proposals_state_check CHECK ((state = ANY (ARRAY['open'::text, 'scheduled'::text, 'published'::text, 'withdrawn'::text, 'failed'::text])))
);
CREATE INDEX proposals_namespace_id ON configuration.proposals USING btree (namespace_id, id);

create table configuration.redis_publications (
  namespace_id text not null,
  version integer not null,
  behind boolean not null default false,
  constraint redis_publications_pkey PRIMARY KEY (namespace_id),
  constraint redis_publications_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES configuration.namespaces(id) ON DELETE CASCADE,
  constraint redis_publications_version_check CHECK ((version >= 0))
);
CREATE INDEX redis_publications_behind ON configuration.redis_publications USING btree (namespace_id) WHERE behind;

create table configuration.rollout_policies (
  service_id text not null,
  max_unavailable integer not null,
  canary_percent integer not null,
  bake_seconds integer not null,
  lease_seconds integer not null,
  automatic_rollback boolean not null,
  updated_at timestamp with time zone not null,
  updated_by text not null,
  constraint rollout_policies_pkey PRIMARY KEY (service_id),
  constraint rollout_policies_service_id_fkey FOREIGN KEY (service_id) REFERENCES identity.services(id) ON DELETE CASCADE,
  constraint rollout_policies_bake_seconds_check CHECK ((bake_seconds >= 0)),
  constraint rollout_policies_canary_percent_check CHECK (((canary_percent >= 0) AND (canary_percent <= 100))),
  constraint rollout_policies_lease_seconds_check CHECK ((lease_seconds >= 1)),
  constraint rollout_policies_max_unavailable_check CHECK ((max_unavailable >= 1))
);

create table configuration.rollouts (
  namespace_id text not null,
  version integer not null,
  state text not null,
  phase text not null,
  bake_until timestamp with time zone,
  reason text,
  cause jsonb,
  counts jsonb,
  started_at timestamp with time zone not null,
  ended_at timestamp with time zone,
  constraint rollouts_pkey PRIMARY KEY (namespace_id, version),
  constraint rollouts_namespace_id_version_fkey FOREIGN KEY (namespace_id, version) REFERENCES configuration.versions(namespace_id, version) ON DELETE CASCADE,
  constraint rollouts_check CHECK (((bake_until IS NOT NULL) <= ((state = 'running'::text) AND (phase = ANY (ARRAY['canary_bake'::text, 'final_bake'::text]))))),
  constraint rollouts_check1 CHECK (((state = 'running'::text) = (ended_at IS NULL))),
  constraint rollouts_phase_check CHECK ((phase = ANY (ARRAY['canary'::text, 'canary_bake'::text, 'all'::text, 'final_bake'::text]))),
  constraint rollouts_state_check CHECK ((state = ANY (ARRAY['running'::text, 'completed'::text, 'stopped'::text, 'failed'::text, 'superseded'::text])))
);
CREATE INDEX rollouts_completed ON configuration.rollouts USING btree (namespace_id, version) WHERE (state = 'completed'::text);
CREATE INDEX rollouts_running ON configuration.rollouts USING btree (namespace_id) WHERE (state = 'running'::text);

create table configuration.secret_values (
  id text not null,
  namespace_id text not null,
  sealed bytea not null,
  fingerprint text not null,
  created_at timestamp with time zone not null,
  constraint secret_values_pkey PRIMARY KEY (id),
  constraint secret_values_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES configuration.namespaces(id) ON DELETE CASCADE
);
CREATE INDEX secret_values_namespace_id ON configuration.secret_values USING btree (namespace_id);

create table configuration.service_tokens (
  id text not null,
  organization text not null,
  service_id text not null,
  service text not null,
  name text not null,
  hash bytea not null,
  sealed bytea not null,
  may_enrol boolean not null,
  created_at timestamp with time zone not null,
  created_by text not null,
  constraint service_tokens_hash_key UNIQUE (hash),
  constraint service_tokens_pkey PRIMARY KEY (id),
  constraint service_tokens_organization_fkey FOREIGN KEY (organization) REFERENCES identity.organizations(name),
  constraint service_tokens_service_id_fkey FOREIGN KEY (service_id) REFERENCES identity.services(id) ON DELETE CASCADE
);
CREATE INDEX service_tokens_organization ON configuration.service_tokens USING btree (organization);
CREATE INDEX service_tokens_service_id ON configuration.service_tokens USING btree (service_id);

create table configuration.used_assertions (
  id_hash bytea not null,
  expires_at timestamp with time zone not null,
  constraint used_assertions_pkey PRIMARY KEY (id_hash)
);
CREATE INDEX used_assertions_expires_at ON configuration.used_assertions USING btree (expires_at);

create table configuration.used_references (
  namespace_id text not null,
  kind text not null,
  target text not null,
  constraint used_references_pkey PRIMARY KEY (namespace_id, kind, target),
  constraint used_references_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES configuration.namespaces(id) ON DELETE CASCADE,
  constraint used_references_kind_check CHECK ((kind = ANY (ARRAY['key'::text, 'client'::text])))
);
CREATE INDEX used_references_target ON configuration.used_references USING btree (kind, target);

create table configuration.versions (
  namespace_id text not null,
  version integer not null,
  parent_version integer not null,
  own json not null,
  effective json not null,
  sources json not null,
  content_hash text not null,
  hash text not null,
  previous_hash text not null,
  kind text not null,
  restores integer,
  cause json,
  message text,
  labels jsonb not null default '{}'::jsonb,
  created_at timestamp with time zone not null,
  created_by text not null,
  bases json not null default '[]'::json,
  constraint versions_pkey PRIMARY KEY (namespace_id, version),
  constraint versions_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES configuration.namespaces(id) ON DELETE CASCADE,
  constraint versions_check CHECK (((parent_version >= 0) AND (parent_version < version))),
  constraint versions_check1 CHECK (((kind = ANY (ARRAY['rollback'::text, 'automatic_rollback'::text])) = (restores IS NOT NULL))),
  constraint versions_kind_check CHECK ((kind = ANY (ARRAY['author'::text, 'rollback'::text, 'refresh'::text, 'automatic_rollback'::text]))),
  constraint versions_version_check CHECK ((version >= 1))
);

create table declaration.applied (
  only_row boolean not null default true,
  content_hash text not null,
  applied_at timestamp with time zone not null,
  constraint applied_pkey PRIMARY KEY (only_row),
  constraint applied_only_row_check CHECK (only_row)
);

create table identity.bootstrap (
  singleton boolean not null default true,
  completed_at timestamp with time zone,
  completed_by text,
  constraint bootstrap_pkey PRIMARY KEY (singleton),
  constraint bootstrap_singleton_check CHECK (singleton)
);

create table identity.memberships (
  organization text not null,
  uid text not null,
  role_ids text[] not null default '{}'::text[],
  created_at timestamp with time zone not null,
  created_by text not null,
  constraint memberships_pkey PRIMARY KEY (organization, uid),
  constraint memberships_organization_fkey FOREIGN KEY (organization) REFERENCES identity.organizations(name),
  constraint memberships_uid_fkey FOREIGN KEY (uid) REFERENCES identity.users(uid)
);
CREATE INDEX memberships_role_ids ON identity.memberships USING gin (role_ids);
CREATE INDEX memberships_uid ON identity.memberships USING btree (uid);

create table identity.oauth_artifacts (
  id_hash bytea not null,
  model text not null,
  sealed bytea not null,
  grant_hash bytea,
  uid_hash bytea,
  user_code_hash bytea,
  user_id text,
  client_id text,
  expires_at timestamp with time zone not null,
  consumed_at timestamp with time zone,
  completed_at timestamp with time zone,
  constraint oauth_artifacts_pkey PRIMARY KEY (id_hash),
  constraint oauth_artifacts_id_hash_check CHECK ((octet_length(id_hash) = 32))
);
CREATE INDEX oauth_artifacts_expires_at ON identity.oauth_artifacts USING btree (expires_at);
CREATE INDEX oauth_artifacts_grant_hash ON identity.oauth_artifacts USING btree (grant_hash) WHERE (grant_hash IS NOT NULL);
CREATE INDEX oauth_artifacts_uid_hash ON identity.oauth_artifacts USING btree (uid_hash) WHERE (uid_hash IS NOT NULL);
CREATE INDEX oauth_artifacts_user_id ON identity.oauth_artifacts USING btree (user_id) WHERE (user_id IS NOT NULL);
CREATE UNIQUE INDEX oauth_artifacts_user_code_hash ON identity.oauth_artifacts USING btree (user_code_hash) WHERE (user_code_hash IS NOT NULL);

create table identity.organizations (
  id text not null,
  name text not null,
  status text not null default 'active'::text,
  created_at timestamp with time zone not null,
  created_by text not null,
  constraint organizations_name_key UNIQUE (name),
  constraint organizations_pkey PRIMARY KEY (id),
  constraint organizations_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'::text)),
  constraint organizations_status_check CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text])))
);

create table identity.password_credentials (
  uid text not null,
  hash text not null,
  changed_at timestamp with time zone not null,
  constraint password_credentials_pkey PRIMARY KEY (uid),
  constraint password_credentials_uid_fkey FOREIGN KEY (uid) REFERENCES identity.users(uid),
  constraint password_credentials_hash_check CHECK ((length(hash) <= 512))
);

create table identity.refresh_tokens (
  token_hash bytea not null,
  session_id text not null,
  client_id text not null,
  details bytea,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  used_at timestamp with time zone,
  successor bytea,
  constraint refresh_tokens_pkey PRIMARY KEY (token_hash),
  constraint refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES identity.sessions(id) ON DELETE CASCADE,
  constraint refresh_tokens_check CHECK (((used_at IS NULL) = (successor IS NULL))),
  constraint refresh_tokens_token_hash_check CHECK ((octet_length(token_hash) = 32))
);
CREATE INDEX refresh_tokens_expires_at ON identity.refresh_tokens USING btree (expires_at);
CREATE INDEX refresh_tokens_session_id ON identity.refresh_tokens USING btree (session_id);

create table identity.revoked_tokens (
  token_id text not null,
  expires_at timestamp with time zone not null,
  constraint revoked_tokens_pkey PRIMARY KEY (token_id)
);
CREATE INDEX revoked_tokens_expires_at ON identity.revoked_tokens USING btree (expires_at);

create table identity.roles (
  id text not null,
  organization text not null,
  service text,
  name text not null,
  permissions text[] not null default '{}'::text[],
  built_in boolean not null default false,
  created_at timestamp with time zone not null,
  created_by text not null,
  constraint roles_organization_service_name_key UNIQUE NULLS NOT DISTINCT (organization, service, name),
  constraint roles_pkey PRIMARY KEY (id),
  constraint roles_organization_fkey FOREIGN KEY (organization) REFERENCES identity.organizations(name),
  constraint roles_organization_service_fkey FOREIGN KEY (organization, service) REFERENCES identity.services(organization, name),
  constraint roles_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'::text))
);

create table identity.service_secrets (
  id text not null,
  service_id text not null,
  hash bytea not null,
  created_at timestamp with time zone not null,
  created_by text not null,
  expires_at timestamp with time zone,
  constraint service_secrets_pkey PRIMARY KEY (id),
  constraint service_secrets_service_id_fkey FOREIGN KEY (service_id) REFERENCES identity.services(id) ON DELETE CASCADE
);
CREATE INDEX service_secrets_service_id ON identity.service_secrets USING btree (service_id);

create table identity.services (
  id text not null,
  organization text not null,
  name text not null,
  client_id text not null,
  audience text not null,
  status text not null default 'active'::text,
  authentication text not null,
  pop_url text,
  jwks jsonb,
  grants text[] not null default '{}'::text[],
  redirect_uris text[] not null default '{}'::text[],
  post_logout_redirect_uris text[] not null default '{}'::text[],
  first_party boolean not null default false,
  id_token_signed_response_alg text not null default 'ES256'::text,
  role_ids text[] not null default '{}'::text[],
  created_at timestamp with time zone not null,
  created_by text not null,
  constraint services_client_id_key UNIQUE (client_id),
  constraint services_organization_audience_key UNIQUE (organization, audience),
  constraint services_organization_name_key UNIQUE (organization, name),
  constraint services_pkey PRIMARY KEY (id),
  constraint services_client_id_fkey FOREIGN KEY (client_id) REFERENCES identity.subjects(subject),
  constraint services_organization_fkey FOREIGN KEY (organization) REFERENCES identity.organizations(name),
  constraint services_audience_check CHECK (((length(audience) >= 1) AND (length(audience) <= 255))),
  constraint services_authentication_check CHECK ((authentication = ANY (ARRAY['client_secret'::text, 'private_key_jwt'::text, 'none'::text]))),
  constraint services_check CHECK ((client_id = ((organization || '.'::text) || name))),
  constraint services_check1 CHECK (((pop_url IS NULL) OR (jwks IS NULL))),
  constraint services_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'::text)),
  constraint services_status_check CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text])))
);
CREATE INDEX services_audience ON identity.services USING btree (audience);
CREATE INDEX services_role_ids ON identity.services USING gin (role_ids);

create table identity.sessions (
  id text not null,
  kind text not null,
  user_id text not null,
  organization text not null,
  client_id text not null,
  grant_hash bytea,
  scope text not null,
  audience text[] not null,
  address text,
  user_agent text,
  authenticated_at timestamp with time zone not null,
  created_at timestamp with time zone not null,
  last_used_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  absolute_expires_at timestamp with time zone not null,
  revoked_at timestamp with time zone,
  revoked_reason text,
  constraint sessions_grant_hash_key UNIQUE (grant_hash),
  constraint sessions_pkey PRIMARY KEY (id),
  constraint sessions_organization_fkey FOREIGN KEY (organization) REFERENCES identity.organizations(name),
  constraint sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES identity.users(uid),
  constraint sessions_check CHECK (((revoked_at IS NULL) = (revoked_reason IS NULL))),
  constraint sessions_kind_check CHECK ((kind = ANY (ARRAY['headless'::text, 'oauth'::text])))
);
CREATE INDEX sessions_absolute_expires_at ON identity.sessions USING btree (absolute_expires_at);
CREATE INDEX sessions_organization ON identity.sessions USING btree (organization);
CREATE INDEX sessions_user_id ON identity.sessions USING btree (user_id, id);

create table identity.setup_codes (
  hash bytea not null,
  created_at timestamp with time zone not null,
  constraint setup_codes_pkey PRIMARY KEY (hash)
);

create table identity.shared_secrets (
  id text not null,
  sealed bytea not null,
  constraint shared_secrets_pkey PRIMARY KEY (id)
);

create table identity.sign_in_throttles (
  key bytea not null,
  failures integer not null,
  refused integer not null default 0,
  blocked_until timestamp with time zone,
  trusted_until timestamp with time zone,
  updated_at timestamp with time zone not null,
  constraint sign_in_throttles_pkey PRIMARY KEY (key)
);
CREATE INDEX sign_in_throttles_updated_at ON identity.sign_in_throttles USING btree (updated_at);

create table identity.subjects (
  subject text not null,
  kind text not null,
  created_at timestamp with time zone not null,
  constraint subjects_pkey PRIMARY KEY (subject),
  constraint subjects_kind_check CHECK ((kind = ANY (ARRAY['user'::text, 'service'::text]))),
  constraint subjects_subject_check CHECK (((length(subject) >= 1) AND (length(subject) <= 128)))
);

create table identity.used_ids (
  id_hash bytea not null,
  expires_at timestamp with time zone not null,
  constraint used_ids_pkey PRIMARY KEY (id_hash),
  constraint used_ids_id_hash_check CHECK ((octet_length(id_hash) = 32))
);
CREATE INDEX used_ids_expires_at ON identity.used_ids USING btree (expires_at);

create table identity.users (
  uid text not null,
  organization text not null,
  username text not null,
  username_key text not null,
  status text not null default 'active'::text,
  last_login timestamp with time zone,
  last_login_attempt timestamp with time zone,
  created_at timestamp with time zone not null,
  created_by text not null,
  constraint users_username_key_key UNIQUE (username_key),
  constraint users_pkey PRIMARY KEY (uid),
  constraint users_organization_fkey FOREIGN KEY (organization) REFERENCES identity.organizations(name),
  constraint users_uid_fkey FOREIGN KEY (uid) REFERENCES identity.subjects(subject),
  constraint users_status_check CHECK ((status = ANY (ARRAY['active'::text, 'archived'::text, 'deactivated'::text]))),
  constraint users_username_check CHECK (((length(username) >= 1) AND (length(username) <= 128)))
);
CREATE INDEX users_organization ON identity.users USING btree (organization, uid);

create table kernel.change_topics (
  topic text not null,
  version bigint not null default 1,
  constraint change_topics_pkey PRIMARY KEY (topic)
);

create table kernel.migrations (
  number integer not null,
  name text not null,
  checksum text not null,
  applied_at timestamp with time zone not null default now(),
  constraint migrations_pkey PRIMARY KEY (number)
);

create table keys.data_key_wraps (
  data_key_id text not null,
  root_key_id text not null,
  wrapped bytea not null,
  constraint data_key_wraps_pkey PRIMARY KEY (data_key_id, root_key_id),
  constraint data_key_wraps_data_key_id_fkey FOREIGN KEY (data_key_id) REFERENCES keys.data_keys(id) ON DELETE CASCADE,
  constraint data_key_wraps_root_key_id_fkey FOREIGN KEY (root_key_id) REFERENCES keys.root_keys(id)
);
CREATE INDEX data_key_wraps_root_key_id ON keys.data_key_wraps USING btree (root_key_id);

create table keys.data_keys (
  id text not null,
  organization text not null,
  created_at timestamp with time zone not null,
  constraint data_keys_organization_key UNIQUE (organization),
  constraint data_keys_pkey PRIMARY KEY (id)
);

create table keys.keyrings (
  name text not null,
  organization text not null,
  purpose text not null,
  use text not null,
  algorithm text not null,
  key_bits integer,
  validity_seconds integer not null,
  legacy_seconds integer not null,
  publish_before_seconds integer not null,
  min_keys integer not null,
  check_interval_seconds integer not null,
  initial_count integer not null,
  version bigint not null default 0,
  created_at timestamp with time zone not null,
  constraint keyrings_pkey PRIMARY KEY (name),
  constraint keyrings_check CHECK ((legacy_seconds > validity_seconds)),
  constraint keyrings_check_interval_seconds_check CHECK ((check_interval_seconds > 0)),
  constraint keyrings_initial_count_check CHECK ((initial_count > 0)),
  constraint keyrings_min_keys_check CHECK ((min_keys > 0)),
  constraint keyrings_publish_before_seconds_check CHECK ((publish_before_seconds >= 0)),
  constraint keyrings_purpose_check CHECK ((purpose = ANY (ARRAY['tokens'::text, 'audit'::text, 'pop'::text, 'configuration'::text]))),
  constraint keyrings_use_check CHECK ((use = ANY (ARRAY['sig'::text, 'enc'::text]))),
  constraint keyrings_validity_seconds_check CHECK ((validity_seconds > 0))
);

create table keys.keys (
  kid text not null,
  keyring text not null,
  state text not null,
  created_at timestamp with time zone not null,
  ready_at timestamp with time zone not null,
  not_before timestamp with time zone not null,
  not_after timestamp with time zone,
  expire_at timestamp with time zone,
  ended_at timestamp with time zone,
  public_jwk jsonb not null,
  private_sealed bytea,
  constraint keys_pkey PRIMARY KEY (kid),
  constraint keys_keyring_fkey FOREIGN KEY (keyring) REFERENCES keys.keyrings(name),
  constraint keys_private_erased CHECK (((private_sealed IS NULL) = (state = ANY (ARRAY['expired'::text, 'compromised'::text])))),
  constraint keys_state_check CHECK ((state = ANY (ARRAY['created'::text, 'valid'::text, 'legacy'::text, 'expired'::text, 'compromised'::text]))),
  constraint keys_times_known CHECK (((state = 'created'::text) OR (state = 'compromised'::text) OR ((not_after IS NOT NULL) AND (expire_at IS NOT NULL))))
);
CREATE INDEX keys_keyring ON keys.keys USING btree (keyring);

create table keys.root_keys (
  id text not null,
  verifier bytea not null,
  created_at timestamp with time zone not null,
  retired_at timestamp with time zone,
  constraint root_keys_pkey PRIMARY KEY (id)
);

create table reuni.organizations (
  id integer not null generated always as identity,
  organization text not null,
  constraint organizations_organization_key UNIQUE (organization),
  constraint organizations_pkey PRIMARY KEY (id),
  constraint organizations_organization_fkey FOREIGN KEY (organization) REFERENCES identity.organizations(name) ON DELETE CASCADE
);

create table reuni.sessions (
  session_id text not null,
  refresh_hash bytea not null,
  constraint sessions_refresh_hash_key UNIQUE (refresh_hash),
  constraint sessions_pkey PRIMARY KEY (session_id),
  constraint sessions_session_id_fkey FOREIGN KEY (session_id) REFERENCES identity.sessions(id) ON DELETE CASCADE
);

create table reuni.sign_up_organization (
  singleton boolean not null default true,
  organization text,
  constraint sign_up_organization_pkey PRIMARY KEY (singleton),
  constraint sign_up_organization_organization_fkey FOREIGN KEY (organization) REFERENCES identity.organizations(name),
  constraint sign_up_organization_singleton_check CHECK (singleton)
);

create table reuni.users (
  id integer not null generated always as identity,
  uid text not null,
  name text,
  constraint users_uid_key UNIQUE (uid),
  constraint users_pkey PRIMARY KEY (id),
  constraint users_uid_fkey FOREIGN KEY (uid) REFERENCES identity.users(uid) ON DELETE CASCADE,
  constraint users_name_check CHECK (((length(name) >= 1) AND (length(name) <= 256)))
);

create table secrets.trusted_issuers (
  id text not null,
  name text not null,
  issuer text not null,
  jwks_uri text not null,
  algorithms text[] not null,
  audiences text[] not null default '{}'::text[],
  created_at timestamp with time zone not null,
  created_by text not null,
  constraint trusted_issuers_issuer_key UNIQUE (issuer),
  constraint trusted_issuers_name_key UNIQUE (name),
  constraint trusted_issuers_pkey PRIMARY KEY (id)
);

create table secrets.user_secrets (
  id text not null,
  organization text not null,
  issuer text not null,
  subject text not null,
  sealed bytea,
  status text not null,
  created_at timestamp with time zone not null,
  destroy_at timestamp with time zone,
  destroyed_at timestamp with time zone,
  constraint user_secrets_organization_issuer_subject_key UNIQUE (organization, issuer, subject),
  constraint user_secrets_pkey PRIMARY KEY (id),
  constraint user_secrets_organization_fkey FOREIGN KEY (organization) REFERENCES identity.organizations(name),
  constraint user_secrets_check CHECK (((status = 'destroyed'::text) = (sealed IS NULL))),
  constraint user_secrets_check1 CHECK (((status = 'scheduled'::text) <= (destroy_at IS NOT NULL))),
  constraint user_secrets_status_check CHECK ((status = ANY (ARRAY['active'::text, 'scheduled'::text, 'destroyed'::text])))
);
CREATE INDEX user_secrets_by_subject ON secrets.user_secrets USING btree (subject, id);
CREATE INDEX user_secrets_scheduled ON secrets.user_secrets USING btree (destroy_at) WHERE (status = 'scheduled'::text);

CREATE OR REPLACE FUNCTION audit.refuse_backward()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if new.sequence <= old.sequence then
    raise exception 'audit: the chain only grows (from % to %)', old.sequence, new.sequence using errcode = 'restrict_violation';
  end if;
  return new;
end
$function$;

CREATE OR REPLACE FUNCTION audit.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception 'audit: % of %.% is refused; the audit trail is only ever added to', tg_op, tg_table_schema, tg_table_name
    using errcode = 'restrict_violation';
end
$function$;

CREATE OR REPLACE FUNCTION audit.refuse_unsealed_exit()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if exists (select from gone where not exists (select from audit.seals s where s.position = gone.position)) then
    raise exception 'audit: an entry leaves audit.unsealed only when it is sealed' using errcode = 'restrict_violation';
  end if;
  return null;
end
$function$;
