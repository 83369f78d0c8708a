/**
 * Every event that a webhook can be told of: name → what it says, and which details of its audit entry it carries.
 * An event is an audit entry by another road, so its name is the entry's action. Details that are not named here stay
 * in the audit trail: a payload holds ids, names of things, numbers and public keys, never a text that somebody typed.
 * Entries of which there can be thousands a second (`token.issued`, `session.refreshed`) are no events.
 */
export const eventTable = {
  // users and members
  'user.created': { title: 'A user was made', data: ['roles'] },
  'user.renamed': { title: 'A user has another name', data: [] },
  'user.roles_changed': { title: 'A user has other roles', data: ['before', 'after'] },
  'user.password_changed': { title: 'The password of a user was set', data: [] },
  'user.suspended': {
    title: 'A user was suspended: sessions and refresh tokens have ended',
    data: ['before', 'after'],
  },
  'user.archived': { title: 'A user was archived', data: ['before', 'after'] },
  'user.restored': { title: 'A user is active again', data: ['before', 'after'] },
  'user.signed_in': { title: 'A user signed in at a page', data: [] },
  'user.sign_up_refused': { title: 'A sign-up was refused: too many attempts', data: [] },
  'user.reauthentication_refused': { title: 'A signed-in user gave a wrong password', data: [] },
  'member.added': { title: 'An account of another organization became a member', data: ['roles'] },
  'member.removed': { title: 'A member is one no longer', data: ['roles'] },
  'member.refused': { title: 'Adding a member by uid was refused: too many attempts', data: [] },
  'operator.created': { title: 'The first operator was made', data: [] },
  // sessions and tokens
  'session.created': { title: 'A session began', data: ['kind', 'user', 'client_id'] },
  'session.refused': { title: 'A sign-in was refused', data: [] },
  'session.revoked': { title: 'A session has ended before its time', data: ['kind', 'user', 'client_id'] },
  'session.refresh_refused': { title: 'A refresh token was refused', data: ['client_id'] },
  'token.reuse_detected': { title: 'A refresh token was used twice: its session has ended', data: ['client_id'] },
  'token.revoked': { title: 'An access token was revoked', data: ['client_id', 'subject'] },
  'consent.granted': { title: 'A user consented to a client', data: ['scope'] },
  // organizations, roles, services
  'organization.created': { title: 'An organization was made', data: ['name'] },
  'organization.refused': { title: 'Making an organization was refused: too many attempts', data: [] },
  'organization.suspended': { title: 'An organization was suspended', data: [] },
  'organization.restored': { title: 'An organization is active again', data: [] },
  'role.created': { title: 'A role was made', data: ['name', 'permissions'] },
  'role.updated': { title: 'A role has other permissions', data: ['name', 'before', 'after'] },
  'role.deleted': { title: 'A role was deleted', data: ['name'] },
  'service.created': { title: 'A service was registered', data: [] },
  'service.updated': { title: 'A service was changed', data: ['changed'] },
  'service.deleted': { title: 'A service was deleted', data: [] },
  'service.suspended': { title: 'A service was suspended', data: [] },
  'service.restored': { title: 'A service is active again', data: [] },
  'service.secret_added': { title: 'A service has another client secret', data: ['secret_id'] },
  'service.secret_deleted': { title: 'A client secret of a service ended', data: ['secret_id'] },
  'service.authentication_refused': { title: 'A service failed to prove who it is', data: [] },
  // keys
  'keyring.created': { title: 'A keyring was made', data: ['algorithm', 'kids'] },
  'keyring.policy_changed': { title: 'A keyring rotates by another policy', data: [] },
  'keys.rotated': {
    title: 'Keys moved on; `jwks` is the public document as it is now',
    data: ['keyring', 'activated', 'retired', 'expired', 'created', 'jwks'],
    everybody: true,
  },
  'keys.compromised': {
    title: 'A key was withdrawn at once; `jwks` is the public document as it is now',
    data: ['keyring', 'activated', 'retired', 'expired', 'created', 'jwks'],
    everybody: true,
  },
  // user secrets and trusted issuers
  'secret.created': { title: 'A user secret was made', data: ['issuer', 'subject'] },
  'secret.released': {
    title: 'A user secret was released to a service',
    data: ['issuer', 'subject', 'service', 'kid'],
  },
  'secret.refused': { title: 'The release of a user secret was refused', data: ['error', 'issuer', 'subject'] },
  'secret.destruction_scheduled': {
    title: 'A user secret will be destroyed',
    data: ['issuer', 'subject', 'destroy_at'],
  },
  'secret.restored': { title: 'The destruction of a user secret was called off', data: ['issuer', 'subject'] },
  'secret.destroyed': { title: 'A user secret was destroyed for good', data: ['issuer', 'subject'] },
  'issuer.created': { title: 'An issuer is trusted', data: ['issuer'] },
  'issuer.updated': { title: 'A trusted issuer was changed', data: ['issuer'] },
  'issuer.deleted': { title: 'An issuer is trusted no longer', data: ['issuer'] },
  // configuration
  'namespace.created': { title: 'A namespace was made', data: ['service', 'namespace'] },
  'namespace.updated': { title: 'Settings of a namespace were changed', data: ['service', 'namespace', 'changed'] },
  'namespace.deleted': { title: 'A namespace was deleted', data: ['service', 'namespace', 'version'] },
  'configuration.published': {
    title: 'A namespace has a new version',
    data: ['service', 'namespace', 'version', 'parent_version', 'kind', 'restores', 'created', 'changed', 'deleted'],
  },
  'configuration.proposed': {
    title: 'A version was proposed, for a second person or for a later time',
    data: ['service', 'namespace', 'proposal', 'parent_version', 'publish_at', 'state'],
  },
  'configuration.proposal_approved': {
    title: 'A second person agreed to a proposal that waits for its time',
    data: ['service', 'namespace', 'proposal', 'parent_version'],
  },
  'configuration.proposal_withdrawn': {
    title: 'A proposal was taken back',
    data: ['service', 'namespace', 'proposal', 'parent_version'],
  },
  'configuration.proposal_failed': {
    title: 'A scheduled proposal could not be published',
    data: ['service', 'namespace', 'proposal', 'parent_version'],
  },
  'configuration.refresh_refused': {
    title: 'What a namespace extends or refers to has changed, and could not be published there',
    data: ['service', 'namespace'],
  },
  'configuration.revealed': { title: 'Somebody looked at secret values', data: ['version', 'keys'] },
  'rollout.completed': {
    title: 'A version is healthy at every instance',
    data: ['service', 'namespace', 'version', 'instances'],
  },
  'rollout.failed': { title: 'A rollout has failed', data: ['service', 'namespace', 'version'] },
  'rollout.stopped': { title: 'A rollout was stopped', data: ['service', 'namespace', 'version'] },
  'rollout.resumed': { title: 'A stopped rollout goes on', data: ['service', 'namespace', 'version'] },
  'rollout_policy.updated': { title: 'A service rolls out by another policy', data: [] },
  'agent.enrolled': { title: 'An agent was enrolled', data: ['service', 'name', 'enrolled_with'] },
  'agent.keys_rotated': { title: 'An agent has new keys', data: ['service', 'name'] },
  'agent.revoked': { title: 'An agent was revoked', data: ['service', 'name'] },
  'service.token_created': { title: 'A service has another authorization token', data: ['token_id', 'may_enrol'] },
  'service.token_shown': { title: 'Somebody looked at an authorization token', data: ['token_id'] },
  'service.token_deleted': { title: 'An authorization token of a service ended', data: ['token_id'] },
  'service.enrolment_token_created': { title: 'A one-time enrolment token was made', data: ['token_id', 'expires_at'] },
  'service.enrolment_token_deleted': { title: 'An enrolment token was deleted', data: ['token_id'] },
  // declaration and webhooks
  'declaration.applied': { title: 'A declaration was applied', data: ['created', 'updated', 'deleted', 'prune'] },
  'webhook.created': { title: 'A webhook was made', data: ['events'] },
  'webhook.updated': { title: 'A webhook was changed', data: ['changed'] },
  'webhook.deleted': { title: 'A webhook was deleted', data: [] },
  'webhook.secret_rotated': { title: 'A webhook has a new secret', data: ['secret_id', 'previous_expires_at'] },
  'webhook.disabled': { title: 'A webhook was disabled because its endpoint failed for too long', data: ['cause'] },
  'webhook.replayed': { title: 'Deliveries of a webhook were asked for again', data: ['deliveries'] },
  'webhook.tested': { title: 'A test event was sent to a webhook', data: [] },
} as const satisfies Record<string, EventDescription>;

/** One line of {@link eventTable}. */
export interface EventDescription {
  /** What happened, in a sentence. */
  readonly title: string;
  /** Members of the audit entry's details that the payload carries. */
  readonly data: readonly string[];
  /** It concerns all organizations: each one's webhooks may hear of it, without who did it. */
  readonly everybody?: true;
}

/** The name of an event. */
export type EventName = keyof typeof eventTable;

/** True when the text names an event. */
export function isEventName(text: string): text is EventName {
  return Object.hasOwn(eventTable, text);
}

/** What a webhook may ask for: an event, all events of a noun (`user.*`), or all (`*`). */
export const eventPatternPattern = '^(?:\\*|[a-z][a-z_]{0,31}\\.(?:\\*|[a-z][a-z_]{0,31}))$';

/** True when the pattern covers the event. */
export function matchesEvent(pattern: string, event: string): boolean {
  if (pattern === '*' || pattern === event) return true;
  return pattern.endsWith('.*') && event.startsWith(pattern.slice(0, -1));
}
