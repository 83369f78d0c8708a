/**
 * The one error class of the SDK. `code` is stable and safe to branch on; `message` is for people and never carries a
 * token, a key or a secret.
 */

/** Every code the SDK throws, with the sentence a reader of the documentation needs. */
export const errorCodes = {
  configuration_invalid: 'An option given to the SDK is missing or wrong.',
  server_unavailable: 'The Gatehouse server could not be reached or answered 5xx. Try again later.',
  answer_invalid: 'An answer of the Gatehouse server was not what the protocol says.',
  token_missing: 'The request carries no bearer token.',
  token_malformed: 'The token is not a compact JWS, or is too large.',
  token_wrong_type: 'The token is not an access token (header `typ` is not `at+jwt`).',
  token_algorithm_refused: 'The algorithm of the token is not on the allow list.',
  token_unknown_key: 'No published key has the `kid` of the token.',
  token_signature_invalid: 'The signature does not verify.',
  token_claim_invalid: 'A claim is missing or has a wrong type.',
  token_wrong_issuer: 'The token was issued by somebody else.',
  token_wrong_audience: 'The token is meant for another service.',
  token_expired: 'The token has expired.',
  token_not_yet_valid: 'The token is not valid yet.',
  keys_unavailable: 'The issuer’s public keys could not be fetched and no usable copy is left.',
  sealed_malformed: 'The sealed message is not a compact JWE, or uses something that is not accepted.',
  sealed_too_large: 'The sealed message is larger than allowed.',
  sealed_cannot_open: 'The sealed message cannot be opened with the keys of this service.',
  seal_no_key: 'The receiver publishes no encryption key that can be used.',
  pop_policy_invalid: 'The rotation policy cannot work.',
  pop_store_unavailable: 'The store of the service’s own keys cannot be read or written.',
  pop_no_key: 'The service has no usable key for this purpose.',
  secret_refused:
    'The server refuses to release the user secret: the token is not acceptable, or the user or the secret is no longer active.',
  service_refused: 'The server refuses this service itself: its credentials, its registration or its published keys.',
  sign_in_refused: 'The server refused the sign-in or the refresh.',
  agent_not_enrolled: 'This agent has no identity yet, and no token to get one with.',
  agent_state_invalid: 'The state folder of the agent cannot be used: its mode, its owner or its content.',
  agent_refused: 'The server refuses this agent: its enrolment token, its service or its keys.',
  agent_revoked: 'The agent was revoked. It needs a new enrolment.',
  version_refused: 'A version of the configuration was refused: forged, older than the last seen one, or not valid.',
  copy_refused: 'The local copy of the configuration was refused: changed, or older than the last seen serial.',
  closed: 'It was closed, or has ended.',
  data_cannot_open: 'The stored data cannot be opened: wrong user secret, wrong context, or changed bytes.',
} as const;

/** A stable error code. */
export type GatehouseErrorCode = keyof typeof errorCodes;

/** What an error may carry beside its code. */
export interface GatehouseErrorOptions {
  /** HTTP status of the server's answer, when there was one. */
  status?: number;
  /** The `code` or `error` member of the server's answer, such as `identity.mfa_required` or `invalid_grant`. */
  serverCode?: string;
  /** Seconds the server asks to wait. */
  retryAfterSeconds?: number;
  /** Further members of the server's problem document, such as `challenge`. */
  details?: Readonly<Record<string, unknown>>;
  cause?: unknown;
}

/** Thrown by everything in this package. */
export class GatehouseError extends Error {
  override readonly name = 'GatehouseError';
  readonly code: GatehouseErrorCode;
  declare readonly status?: number;
  declare readonly serverCode?: string;
  declare readonly retryAfterSeconds?: number;
  declare readonly details?: Readonly<Record<string, unknown>>;

  constructor(code: GatehouseErrorCode, message: string, options: GatehouseErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.status !== undefined) this.status = options.status;
    if (options.serverCode !== undefined) this.serverCode = options.serverCode;
    if (options.retryAfterSeconds !== undefined) this.retryAfterSeconds = options.retryAfterSeconds;
    if (options.details !== undefined) this.details = options.details;
  }
}

/** True for an error of this package, optionally one with the given code. */
export function isGatehouseError(error: unknown, code?: GatehouseErrorCode): error is GatehouseError {
  return error instanceof GatehouseError && (code === undefined || error.code === code);
}
