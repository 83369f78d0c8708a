import type { JsonObject } from '@gatehouse/contracts';
import { type Clock, epochSeconds, type Random } from '../../../kernel/index.ts';
import type { Keys } from '../../keys/index.ts';
import { accessTokenSeconds } from './limits.ts';

/** What an access token says, before it has an id and times. */
export interface AccessTokenContent {
  /** The uid of a user, or the client id of a service that acts for itself. */
  readonly subject: string;
  readonly clientId: string;
  readonly audience: readonly string[];
  readonly organization: string;
  /** Names of roles: `developer`, `records:reader`. */
  readonly roles: readonly string[];
  readonly scope: readonly string[];
  /** The session the token belongs to; a service acting for itself has none. */
  readonly sessionId?: string | undefined;
  readonly authenticatedAt?: Date | undefined;
  /** RFC 7638 thumbprint of the key the token is bound to (RFC 9449 §6). */
  readonly keyThumbprint?: string | undefined;
}

/** The claims of an access token: RFC 9068 §2.2 and our own. */
export interface AccessTokenClaims extends JsonObject {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string | readonly string[];
  readonly exp: number;
  readonly iat: number;
  readonly jti: string;
  readonly client_id: string;
  readonly scope: string;
  readonly org: string;
  readonly roles: readonly string[];
  readonly sid?: string;
  readonly auth_time?: number;
  readonly cnf?: { readonly jkt: string };
}

/** The `typ` of access tokens: they are taken for no other kind of token, and no other for them (RFC 9068 §4). */
export const accessTokenType = 'at+jwt';

/** Makes access tokens: every way to one ends here, so that all of them say the same. */
export function createAccessTokens(deps: { issuer: string; clock: Clock; random: Random; keys: Pick<Keys, 'sign'> }) {
  return {
    /** Gives the content an id and its times. */
    claimsOf(content: AccessTokenContent): AccessTokenClaims {
      const iat = epochSeconds(deps.clock);
      return {
        iss: deps.issuer,
        sub: content.subject,
        aud: content.audience.length === 1 ? (content.audience[0] as string) : [...content.audience],
        exp: iat + accessTokenSeconds,
        iat,
        jti: deps.random.id('tok'),
        client_id: content.clientId,
        scope: content.scope.join(' '),
        org: content.organization,
        roles: [...content.roles],
        ...(content.sessionId === undefined ? {} : { sid: content.sessionId }),
        ...(content.authenticatedAt === undefined
          ? {}
          : { auth_time: Math.floor(content.authenticatedAt.getTime() / 1000) }),
        ...(content.keyThumbprint === undefined ? {} : { cnf: { jkt: content.keyThumbprint } }),
      };
    },
    /** Signs claims with the valid ES256 key. Fails closed when there is none. */
    sign(claims: AccessTokenClaims): Promise<string> {
      return deps.keys.sign({ keyring: 'tokens-es256', header: { typ: accessTokenType }, payload: claims });
    },
  };
}

export type AccessTokens = ReturnType<typeof createAccessTokens>;
