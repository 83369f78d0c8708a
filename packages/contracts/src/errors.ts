/**
 * Every error a Gatehouse program answers with: code → HTTP status and title.
 * Codes are stable: clients may switch on them. `checks/documents.test.ts` holds this table against the code and the docs.
 */
export const errorTable = {
  // kernel
  'kernel.invalid_request': { status: 400, title: 'The request is not valid' },
  'kernel.invalid_cursor': { status: 400, title: 'The cursor is not one of ours' },
  'kernel.unauthenticated': { status: 401, title: 'A valid access token is needed' },
  'kernel.forbidden': { status: 403, title: 'This needs a permission the caller does not have' },
  'kernel.not_found': { status: 404, title: 'There is nothing here' },
  'kernel.request_timeout': { status: 408, title: 'The request did not arrive in time' },
  'kernel.conflict': { status: 409, title: 'The request does not fit the present state' },
  'kernel.too_large': { status: 413, title: 'The request is too large' },
  'kernel.unsupported_media_type': { status: 415, title: 'The content type is not accepted here' },
  'kernel.misdirected': { status: 421, title: 'This host name is not served here' },
  'kernel.headers_too_large': { status: 431, title: 'The headers of the request are too large' },
  'kernel.unavailable': { status: 503, title: 'Not available at the moment' },
  // audit
  'audit.no_checkpoint': { status: 404, title: 'The audit trail has no checkpoint yet' },
  // secrets
  'secrets.issuer_exists': { status: 409, title: 'This issuer is trusted already' },
  'secrets.destroyed': { status: 410, title: 'The user secret is destroyed' },
  // identity: accounts
  'identity.invalid_credentials': { status: 401, title: 'The user name or the password is wrong' },
  'identity.organization_required': { status: 400, title: 'The user is a member of several organizations: name one' },
  'identity.too_many_attempts': { status: 429, title: 'Too many sign-in attempts' },
  'identity.busy': { status: 503, title: 'Too many passwords are being checked at the moment' },
  'identity.password_refused': { status: 400, title: 'The password does not fit the password policy' },
  'identity.username_taken': { status: 409, title: 'The user name is taken' },
  'identity.uid_taken': { status: 409, title: 'The uid is or was taken' },
  'identity.not_active': { status: 409, title: 'This is not possible in the present status' },
  'identity.last_operator': { status: 409, title: 'The last active operator has to stay' },
  'identity.foreign_account': { status: 403, title: 'Another organization administers this account' },
  'identity.member_exists': { status: 409, title: 'The user is a member already' },
  'identity.home_organization': { status: 409, title: 'The organization that has the account keeps it as a member' },
  'identity.role_too_high': { status: 403, title: 'This needs permissions the caller does not have' },
  'identity.role_exists': { status: 409, title: 'A role of this name exists' },
  'identity.role_in_use': { status: 409, title: 'The role is in use' },
  'identity.role_built_in': { status: 409, title: 'Built-in roles cannot be changed' },
  'identity.organization_exists': { status: 409, title: 'An organization of this name exists' },
  'identity.service_exists': { status: 409, title: 'A service of this name exists' },
  'identity.audience_taken': { status: 409, title: 'The audience belongs to another service' },
  'identity.too_many_secrets': { status: 409, title: 'The service has two secrets already' },
  'identity.setup_closed': { status: 410, title: 'The first operator exists already' },
  // identity: sessions and tokens
  'identity.refresh_refused': { status: 401, title: 'The refresh token is not accepted' },
  // keys
  'keys.cannot_decrypt': { status: 400, title: 'The sealed message cannot be opened' },
  'keys.not_ready': { status: 409, title: 'The next key has not been published long enough' },
  'keys.invalid_policy': { status: 400, title: 'The rotation policy does not hold' },
  'keys.cannot_open': { status: 500, title: 'A stored value cannot be opened' },
  'keys.no_valid_key': { status: 503, title: 'No valid key is left to sign with' },
  'keys.root_key_replaced': { status: 503, title: 'This node runs with a root key that was replaced' },
  // configuration
  'configuration.invalid': { status: 400, title: 'The configuration is not valid' },
  'configuration.namespace_exists': { status: 409, title: 'The service has a namespace of this name' },
  'configuration.namespace_in_use': { status: 409, title: 'Other namespaces extend this one' },
  'configuration.rollout_closed': { status: 409, title: 'The rollout cannot be stopped or resumed now' },
  'configuration.schema_violated': { status: 400, title: 'The configuration does not fit the schema of the namespace' },
  'configuration.review_required': { status: 409, title: 'A second person has to agree' },
  'configuration.proposal_closed': { status: 409, title: 'The proposal is not open' },
  'configuration.same_person': { status: 403, title: 'Who proposed it cannot publish it' },
  'configuration.client_secret_in_use': {
    status: 409,
    title: 'The configuration of the service gives this secret to instances',
  },
  'configuration.version_conflict': { status: 409, title: 'Another version was published in the meantime' },
  'configuration.invalid_agent_keys': { status: 400, title: 'The keys of the agent are not as they have to be' },
  'configuration.enrolment_refused': { status: 401, title: 'The token does not let an agent enrol' },
  'configuration.agent_refused': { status: 401, title: 'The assertion of the agent is not accepted' },
  'configuration.agent_revoked': { status: 401, title: 'The agent was revoked' },
  'configuration.enrolment_required': { status: 403, title: 'Secrets are sent to enrolled agents only' },
  'configuration.service_suspended': { status: 403, title: 'The service is suspended' },
  'configuration.agent_keys_known': { status: 409, title: 'A key of the agent is not new' },
  'configuration.too_many_tokens': { status: 409, title: 'The service has too many tokens' },
  'configuration.too_many_waiting': { status: 429, title: 'The agent waits too often at once' },
  'configuration.too_many_agents': { status: 409, title: 'The service has too many agents' },
  internal: { status: 500, title: 'Something went wrong on our side' },
} as const satisfies Record<string, { status: number; title: string }>;

/** A code of {@link errorTable}. */
export type ErrorCode = keyof typeof errorTable;
