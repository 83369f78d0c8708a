/**
 * Every lifetime and bound of agents in one place. docs/guides/delivery-at-scale.md repeats these numbers for users.
 */

/** An agent's access token. A revoked agent is refused at once all the same: every use is checked. */
export const agentTokenSeconds = 900;

/** Longest life of an agent's assertion, counted from its `iat`. */
export const assertionSeconds = 300;

/** How far clocks may differ when an assertion is judged. */
export const clockSkewSeconds = 60;

/** An enrolment token that says nothing else … */
export const enrolmentSeconds = 15 * 60;
/** … and the longest it may live. */
export const maxEnrolmentSeconds = 24 * 3600;

/** Living enrolment tokens of a service. */
export const maxEnrolmentTokens = 50;

/** Authorization tokens of a service. */
export const maxServiceTokens = 10;

/** Agents of a service that are not revoked. */
export const maxAgents = 100_000;

/** An agent that did not ask for a token for this long is revoked: whoever it was has to enrol again. */
export const idleAgentDays = 60;

/** A revoked agent is shown for this long. */
export const revokedAgentDays = 30;

/** Told to all nodes when an agent or a token may no longer be served: those that wait are judged anew. */
export const agentsTopic = 'configuration-agents';
