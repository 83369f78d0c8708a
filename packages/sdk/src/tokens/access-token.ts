/** What an access token says, once it is verified. */
import type { JwtClaims } from '@gatehouse/crypto';

/** The claims of an access token (RFC 9068) under readable names. */
export interface AccessToken {
  /** `sub`: the uid of the user, or the client id of a service acting for itself. */
  subject: string;
  issuer: string;
  audience: readonly string[];
  /** `client_id`: through which application the token was issued. */
  clientId?: string;
  /** `org`: the organization. */
  organization?: string;
  /** Names such as `developer` or `records:reader`. */
  roles: readonly string[];
  scope: readonly string[];
  /** `jti`: key replay and revocation on this, never on the token's text. */
  tokenId: string;
  /** `sid`: the session, when a user signed in. */
  sessionId?: string;
  issuedAt: Date;
  expiresAt: Date;
  /** All claims as they came. */
  claims: JwtClaims;
}

/** Reads verified claims. The required ones were checked before; those of a wrong type are left out. */
export function accessTokenOf(claims: JwtClaims): AccessToken {
  const clientId = text(claims.client_id);
  const organization = text(claims.org);
  const sessionId = text(claims.sid);
  return {
    subject: claims.sub ?? '',
    issuer: claims.iss,
    audience: typeof claims.aud === 'string' ? [claims.aud] : (claims.aud ?? []),
    ...(clientId === undefined ? {} : { clientId }),
    ...(organization === undefined ? {} : { organization }),
    roles: texts(claims.roles),
    scope: typeof claims.scope === 'string' ? claims.scope.split(' ').filter((name) => name !== '') : [],
    tokenId: claims.jti ?? '',
    ...(sessionId === undefined ? {} : { sessionId }),
    issuedAt: new Date((claims.iat ?? 0) * 1000),
    expiresAt: new Date(claims.exp * 1000),
    claims,
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
