import { errors } from 'oidc-provider';

/** `invalid_grant` inside oidc-provider: the grant has ended, was never there, or its user may not use the client. */
export function grantEnded(): Error {
  return new errors.InvalidGrant('the grant has ended');
}
