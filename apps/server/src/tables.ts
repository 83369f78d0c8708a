// Generated from apps/server/migrations by `npm run generate`; do not edit.
import type { JsonValue } from '@gatehouse/contracts';
import type { ColumnType, Generated } from 'kysely';

export interface AuditChainHead {
  only_row: Generated<boolean>;
  sequence: ColumnType<string, string | number | bigint, string | number | bigint>;
  hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
}

export interface AuditCheckpoints {
  number: ColumnType<string, string | number | bigint, string | number | bigint>;
  sequence: ColumnType<string, string | number | bigint, string | number | bigint>;
  hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
  at: Date;
  jws: string;
  jws_hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
}

export interface AuditEntries {
  position: ColumnType<string, string | number | bigint | undefined, string | number | bigint>;
  version: Generated<number>;
  id: string;
  at: Date;
  action: string;
  organization: string;
  actor_type: string;
  actor_id: string;
  target_type: string | null;
  target_id: string | null;
  outcome: string;
  reason: string | null;
  request_id: string | null;
  address: string | null;
  user_agent: string | null;
  details: ColumnType<JsonValue, string, string>;
}

export interface AuditSeals {
  sequence: ColumnType<string, string | number | bigint, string | number | bigint>;
  position: ColumnType<string, string | number | bigint, string | number | bigint>;
  previous_hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
  hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
}

export interface AuditUnsealed {
  position: ColumnType<string, string | number | bigint, string | number | bigint>;
}

export interface AuditWebhookCursor {
  only_row: Generated<boolean>;
  sequence: ColumnType<string, string | number | bigint, string | number | bigint>;
}

export interface AuditWebhookDeliveries {
  id: string;
  webhook_id: string;
  event_id: string;
  state: string;
  attempts: Generated<number>;
  next_attempt_at: Date | null;
  claim: string | null;
  last_attempt_at: Date | null;
  last_status: number | null;
  last_error: string | null;
  created_at: Date;
}

export interface AuditWebhookEvents {
  id: string;
  type: string;
  at: Date;
  body: string;
  created_at: Date;
}

export interface AuditWebhookSecrets {
  id: string;
  webhook_id: string;
  sealed: ColumnType<Buffer, Uint8Array, Uint8Array>;
  created_at: Date;
  expires_at: Date | null;
}

export interface AuditWebhooks {
  id: string;
  organization: string;
  url: string;
  events: string[];
  description: string | null;
  enabled: boolean;
  disabled_reason: string | null;
  from_position: ColumnType<string, string | number | bigint, string | number | bigint>;
  failures: Generated<number>;
  failing_since: Date | null;
  held_until: Date | null;
  created_at: Date;
  created_by: string;
  updated_at: Date;
}

export interface ConfigurationAgents {
  id: string;
  organization: string;
  service_id: string;
  service: string;
  name: string;
  signature_kid: string;
  signature_jwk: ColumnType<JsonValue, string, string>;
  encryption_kid: string;
  encryption_jwk: ColumnType<JsonValue, string, string>;
  enrolled_with: string;
  enrolled_at: Date;
  keys_since: Date;
  seen_at: Date;
  revoked_at: Date | null;
  revoked_by: string | null;
}

export interface ConfigurationClientSecrets {
  service_id: string;
  secret_id: string;
  organization: string;
  sealed: ColumnType<Buffer, Uint8Array, Uint8Array>;
  created_at: Date;
}

export interface ConfigurationEnrolmentTokens {
  id: string;
  organization: string;
  service_id: string;
  service: string;
  name: string | null;
  hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
  created_at: Date;
  created_by: string;
  expires_at: Date;
  used_at: Date | null;
}

export interface ConfigurationExtensions {
  namespace_id: string;
  position: number;
  base_id: string;
}

export interface ConfigurationFleetWatch {
  id: Generated<boolean>;
  watching_since: Date;
  watched_at: Date;
}

export interface ConfigurationInstances {
  namespace_id: string;
  agent_id: string;
  state: string;
  version: number;
  running_version: number | null;
  content_hash: string | null;
  available: boolean;
  failing: boolean;
  reason: string | null;
  since: Date;
  last_seen_at: Date;
  slot_version: number | null;
  report_due_at: Date | null;
}

export interface ConfigurationNamespaces {
  id: string;
  organization: string;
  service_id: string;
  service: string;
  name: string;
  latest_version: Generated<number>;
  shared: Generated<boolean>;
  value_schema: ColumnType<JsonValue | null, string | null | undefined, string | null>;
  review_required: Generated<boolean>;
  labels: ColumnType<JsonValue, string | undefined, string>;
  created_at: Date;
  created_by: string;
  updated_at: Date;
  refresh_problem: ColumnType<JsonValue | null, string | null | undefined, string | null>;
}

export interface ConfigurationProposals {
  id: string;
  namespace_id: string;
  parent_version: number;
  own: ColumnType<JsonValue | null, string | null | undefined, string | null>;
  fresh_keys: ColumnType<JsonValue, string | undefined, string>;
  restores: number | null;
  message: string | null;
  labels: ColumnType<JsonValue, string | undefined, string>;
  publish_at: Date | null;
  state: string;
  created_at: Date;
  created_by: string;
  created_by_type: string;
  approved_at: Date | null;
  approved_by: string | null;
  approved_by_type: string | null;
  version: number | null;
  reason: ColumnType<JsonValue | null, string | null | undefined, string | null>;
  ended_at: Date | null;
}

export interface ConfigurationRedisPublications {
  namespace_id: string;
  version: number;
  behind: Generated<boolean>;
}

export interface ConfigurationRolloutPolicies {
  service_id: string;
  max_unavailable: number;
  canary_percent: number;
  bake_seconds: number;
  lease_seconds: number;
  automatic_rollback: boolean;
  updated_at: Date;
  updated_by: string;
}

export interface ConfigurationRollouts {
  namespace_id: string;
  version: number;
  state: string;
  phase: string;
  bake_until: Date | null;
  reason: string | null;
  cause: ColumnType<JsonValue | null, string | null | undefined, string | null>;
  counts: ColumnType<JsonValue | null, string | null | undefined, string | null>;
  started_at: Date;
  ended_at: Date | null;
}

export interface ConfigurationSecretValues {
  id: string;
  namespace_id: string;
  sealed: ColumnType<Buffer, Uint8Array, Uint8Array>;
  fingerprint: string;
  created_at: Date;
}

export interface ConfigurationServiceTokens {
  id: string;
  organization: string;
  service_id: string;
  service: string;
  name: string;
  hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
  sealed: ColumnType<Buffer, Uint8Array, Uint8Array>;
  may_enrol: boolean;
  created_at: Date;
  created_by: string;
}

export interface ConfigurationUsedAssertions {
  id_hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
  expires_at: Date;
}

export interface ConfigurationUsedReferences {
  namespace_id: string;
  kind: string;
  target: string;
}

export interface ConfigurationVersions {
  namespace_id: string;
  version: number;
  parent_version: number;
  own: ColumnType<JsonValue, string, string>;
  effective: ColumnType<JsonValue, string, string>;
  sources: ColumnType<JsonValue, string, string>;
  content_hash: string;
  hash: string;
  previous_hash: string;
  kind: string;
  restores: number | null;
  cause: ColumnType<JsonValue | null, string | null | undefined, string | null>;
  message: string | null;
  labels: ColumnType<JsonValue, string | undefined, string>;
  created_at: Date;
  created_by: string;
  bases: ColumnType<JsonValue, string | undefined, string>;
}

export interface DeclarationApplied {
  only_row: Generated<boolean>;
  content_hash: string;
  applied_at: Date;
}

export interface IdentityBootstrap {
  singleton: Generated<boolean>;
  completed_at: Date | null;
  completed_by: string | null;
}

export interface IdentityMemberships {
  organization: string;
  uid: string;
  role_ids: Generated<string[]>;
  created_at: Date;
  created_by: string;
}

export interface IdentityOauthArtifacts {
  id_hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
  model: string;
  sealed: ColumnType<Buffer, Uint8Array, Uint8Array>;
  grant_hash: ColumnType<Buffer | null, Uint8Array | null | undefined, Uint8Array | null>;
  uid_hash: ColumnType<Buffer | null, Uint8Array | null | undefined, Uint8Array | null>;
  user_code_hash: ColumnType<Buffer | null, Uint8Array | null | undefined, Uint8Array | null>;
  user_id: string | null;
  client_id: string | null;
  expires_at: Date;
  consumed_at: Date | null;
  completed_at: Date | null;
}

export interface IdentityOrganizations {
  id: string;
  name: string;
  status: Generated<string>;
  created_at: Date;
  created_by: string;
}

export interface IdentityPasswordCredentials {
  uid: string;
  hash: string;
  changed_at: Date;
}

export interface IdentityRefreshTokens {
  token_hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
  session_id: string;
  client_id: string;
  details: ColumnType<Buffer | null, Uint8Array | null | undefined, Uint8Array | null>;
  created_at: Date;
  expires_at: Date;
  used_at: Date | null;
  successor: ColumnType<Buffer | null, Uint8Array | null | undefined, Uint8Array | null>;
}

export interface IdentityRevokedTokens {
  token_id: string;
  expires_at: Date;
}

export interface IdentityRoles {
  id: string;
  organization: string;
  service: string | null;
  name: string;
  permissions: Generated<string[]>;
  built_in: Generated<boolean>;
  created_at: Date;
  created_by: string;
}

export interface IdentityServiceSecrets {
  id: string;
  service_id: string;
  hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
  created_at: Date;
  created_by: string;
  expires_at: Date | null;
}

export interface IdentityServices {
  id: string;
  organization: string;
  name: string;
  client_id: string;
  audience: string;
  status: Generated<string>;
  authentication: string;
  pop_url: string | null;
  jwks: ColumnType<JsonValue | null, string | null | undefined, string | null>;
  grants: Generated<string[]>;
  redirect_uris: Generated<string[]>;
  post_logout_redirect_uris: Generated<string[]>;
  first_party: Generated<boolean>;
  id_token_signed_response_alg: Generated<string>;
  role_ids: Generated<string[]>;
  created_at: Date;
  created_by: string;
}

export interface IdentitySessions {
  id: string;
  kind: string;
  user_id: string;
  organization: string;
  client_id: string;
  grant_hash: ColumnType<Buffer | null, Uint8Array | null | undefined, Uint8Array | null>;
  scope: string;
  audience: string[];
  address: string | null;
  user_agent: string | null;
  authenticated_at: Date;
  created_at: Date;
  last_used_at: Date;
  expires_at: Date;
  absolute_expires_at: Date;
  revoked_at: Date | null;
  revoked_reason: string | null;
}

export interface IdentitySetupCodes {
  hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
  created_at: Date;
}

export interface IdentitySharedSecrets {
  id: string;
  sealed: ColumnType<Buffer, Uint8Array, Uint8Array>;
}

export interface IdentitySignInThrottles {
  key: ColumnType<Buffer, Uint8Array, Uint8Array>;
  failures: number;
  refused: Generated<number>;
  blocked_until: Date | null;
  trusted_until: Date | null;
  updated_at: Date;
}

export interface IdentitySubjects {
  subject: string;
  kind: string;
  created_at: Date;
}

export interface IdentityUsedIds {
  id_hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
  expires_at: Date;
}

export interface IdentityUsers {
  uid: string;
  organization: string;
  username: string;
  username_key: string;
  status: Generated<string>;
  last_login: Date | null;
  last_login_attempt: Date | null;
  created_at: Date;
  created_by: string;
}

export interface KernelChangeTopics {
  topic: string;
  version: ColumnType<string, string | number | bigint | undefined, string | number | bigint>;
}

export interface KernelMigrations {
  number: number;
  name: string;
  checksum: string;
  applied_at: Generated<Date>;
}

export interface KeysDataKeyWraps {
  data_key_id: string;
  root_key_id: string;
  wrapped: ColumnType<Buffer, Uint8Array, Uint8Array>;
}

export interface KeysDataKeys {
  id: string;
  organization: string;
  created_at: Date;
}

export interface KeysKeyrings {
  name: string;
  organization: string;
  purpose: string;
  use: string;
  algorithm: string;
  key_bits: number | null;
  validity_seconds: number;
  legacy_seconds: number;
  publish_before_seconds: number;
  min_keys: number;
  check_interval_seconds: number;
  initial_count: number;
  version: ColumnType<string, string | number | bigint | undefined, string | number | bigint>;
  created_at: Date;
}

export interface KeysKeys {
  kid: string;
  keyring: string;
  state: string;
  created_at: Date;
  ready_at: Date;
  not_before: Date;
  not_after: Date | null;
  expire_at: Date | null;
  ended_at: Date | null;
  public_jwk: ColumnType<JsonValue, string, string>;
  private_sealed: ColumnType<Buffer | null, Uint8Array | null | undefined, Uint8Array | null>;
}

export interface KeysRootKeys {
  id: string;
  verifier: ColumnType<Buffer, Uint8Array, Uint8Array>;
  created_at: Date;
  retired_at: Date | null;
}

export interface ReuniOrganizations {
  id: Generated<number>;
  organization: string;
}

export interface ReuniSessions {
  session_id: string;
  refresh_hash: ColumnType<Buffer, Uint8Array, Uint8Array>;
}

export interface ReuniSignUpOrganization {
  singleton: Generated<boolean>;
  organization: string | null;
}

export interface ReuniUsers {
  id: Generated<number>;
  uid: string;
  name: string | null;
}

export interface SecretsTrustedIssuers {
  id: string;
  name: string;
  issuer: string;
  jwks_uri: string;
  algorithms: string[];
  audiences: Generated<string[]>;
  created_at: Date;
  created_by: string;
}

export interface SecretsUserSecrets {
  id: string;
  organization: string;
  issuer: string;
  subject: string;
  sealed: ColumnType<Buffer | null, Uint8Array | null | undefined, Uint8Array | null>;
  status: string;
  created_at: Date;
  destroy_at: Date | null;
  destroyed_at: Date | null;
}

/** Every table of this server, by `schema.table`. */
export interface Database {
  'audit.chain_head': AuditChainHead;
  'audit.checkpoints': AuditCheckpoints;
  'audit.entries': AuditEntries;
  'audit.seals': AuditSeals;
  'audit.unsealed': AuditUnsealed;
  'audit.webhook_cursor': AuditWebhookCursor;
  'audit.webhook_deliveries': AuditWebhookDeliveries;
  'audit.webhook_events': AuditWebhookEvents;
  'audit.webhook_secrets': AuditWebhookSecrets;
  'audit.webhooks': AuditWebhooks;
  'configuration.agents': ConfigurationAgents;
  'configuration.client_secrets': ConfigurationClientSecrets;
  'configuration.enrolment_tokens': ConfigurationEnrolmentTokens;
  'configuration.extensions': ConfigurationExtensions;
  'configuration.fleet_watch': ConfigurationFleetWatch;
  'configuration.instances': ConfigurationInstances;
  'configuration.namespaces': ConfigurationNamespaces;
  'configuration.proposals': ConfigurationProposals;
  'configuration.redis_publications': ConfigurationRedisPublications;
  'configuration.rollout_policies': ConfigurationRolloutPolicies;
  'configuration.rollouts': ConfigurationRollouts;
  'configuration.secret_values': ConfigurationSecretValues;
  'configuration.service_tokens': ConfigurationServiceTokens;
  'configuration.used_assertions': ConfigurationUsedAssertions;
  'configuration.used_references': ConfigurationUsedReferences;
  'configuration.versions': ConfigurationVersions;
  'declaration.applied': DeclarationApplied;
  'identity.bootstrap': IdentityBootstrap;
  'identity.memberships': IdentityMemberships;
  'identity.oauth_artifacts': IdentityOauthArtifacts;
  'identity.organizations': IdentityOrganizations;
  'identity.password_credentials': IdentityPasswordCredentials;
  'identity.refresh_tokens': IdentityRefreshTokens;
  'identity.revoked_tokens': IdentityRevokedTokens;
  'identity.roles': IdentityRoles;
  'identity.service_secrets': IdentityServiceSecrets;
  'identity.services': IdentityServices;
  'identity.sessions': IdentitySessions;
  'identity.setup_codes': IdentitySetupCodes;
  'identity.shared_secrets': IdentitySharedSecrets;
  'identity.sign_in_throttles': IdentitySignInThrottles;
  'identity.subjects': IdentitySubjects;
  'identity.used_ids': IdentityUsedIds;
  'identity.users': IdentityUsers;
  'kernel.change_topics': KernelChangeTopics;
  'kernel.migrations': KernelMigrations;
  'keys.data_key_wraps': KeysDataKeyWraps;
  'keys.data_keys': KeysDataKeys;
  'keys.keyrings': KeysKeyrings;
  'keys.keys': KeysKeys;
  'keys.root_keys': KeysRootKeys;
  'reuni.organizations': ReuniOrganizations;
  'reuni.sessions': ReuniSessions;
  'reuni.sign_up_organization': ReuniSignUpOrganization;
  'reuni.users': ReuniUsers;
  'secrets.trusted_issuers': SecretsTrustedIssuers;
  'secrets.user_secrets': SecretsUserSecrets;
}
