/** An error as OAuth endpoints answer it (RFC 6749 §5.2): its body is fixed by the protocol, so it is no problem JSON. */
export class OAuthError extends Error {
  readonly error: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    error: string,
    description: string,
    options: { status?: number; headers?: Readonly<Record<string, string>>; cause?: unknown } = {},
  ) {
    super(description, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'OAuthError';
    this.error = error;
    this.status = options.status ?? 400;
    this.headers = options.headers ?? {};
  }
}

/** `invalid_request`: the request itself is wrong. */
export function invalidRequest(description: string): OAuthError {
  return new OAuthError('invalid_request', description);
}

/** `invalid_grant`: what was presented (a code, a refresh token) is not accepted; one wording for every reason. */
export function invalidGrant(description = 'grant request is invalid'): OAuthError {
  return new OAuthError('invalid_grant', description);
}

/**
 * `invalid_client`: unknown client, wrong secret, bad assertion; one answer for all of them (RFC 6749 §5.2).
 * `reason` is for the audit, never for the answer.
 */
export function invalidClient(reason: string): OAuthError {
  return new OAuthError('invalid_client', 'client authentication failed', {
    status: 401,
    headers: { 'www-authenticate': 'Basic realm="gatehouse", error="invalid_client"' },
    cause: new Error(reason),
  });
}
