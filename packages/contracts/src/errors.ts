/**
 * Every error a Gatehouse program answers with: code → HTTP status and title.
 * Codes are stable: clients may switch on them. `checks/errors.test.ts` holds this table against the code and the docs.
 */
export const errorTable = {
  // kernel
  'kernel.invalid_request': { status: 400, title: 'The request is not valid' },
  'kernel.invalid_cursor': { status: 400, title: 'The cursor is not one of ours' },
  'kernel.unauthenticated': { status: 401, title: 'A valid access token is needed' },
  'kernel.forbidden': { status: 403, title: 'This needs a permission the caller does not have' },
  'kernel.not_found': { status: 404, title: 'There is nothing here' },
  'kernel.method_not_allowed': { status: 405, title: 'The method is not allowed here' },
  'kernel.conflict': { status: 409, title: 'The request does not fit the present state' },
  'kernel.too_large': { status: 413, title: 'The request is too large' },
  'kernel.unsupported_media_type': { status: 415, title: 'The content type is not accepted here' },
  'kernel.misdirected': { status: 421, title: 'This host name is not served here' },
  'kernel.too_many_requests': { status: 429, title: 'Too many requests' },
  'kernel.unavailable': { status: 503, title: 'Not available at the moment' },
  'kernel.stopping': { status: 503, title: 'This node is stopping' },
  // secrets
  'secrets.issuer_exists': { status: 409, title: 'This issuer is trusted already' },
  'secrets.destroyed': { status: 410, title: 'The user secret is destroyed' },
  'secrets.no_encryption_key': { status: 502, title: 'The service publishes no usable encryption key' },
  internal: { status: 500, title: 'Something went wrong on our side' },
} as const satisfies Record<string, { status: number; title: string }>;

/** A code of {@link errorTable}. */
export type ErrorCode = keyof typeof errorTable;
