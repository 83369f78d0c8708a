import type { Clock, Db, Reader } from '../../../kernel/index.ts';
import type { ResolvedRoles } from '../roles/role.ts';
import type { Roles } from '../roles/role-service.ts';
import type { AccessTokenClaims } from './access-token.ts';
import { judgeServiceToken, judgeUserToken } from './subject-store.ts';
import type { AccessTokenVerifier } from './verify-access-token.ts';

/** A token of ours that is good at this moment, and whose it is. */
export interface JudgedToken {
  readonly claims: AccessTokenClaims;
  readonly kind: 'user' | 'service';
  readonly username: string | undefined;
  readonly homeOrganization: string;
  /** The subject's roles in the token's organization as they are now, which may be less than the token says. */
  readonly roles: ResolvedRoles;
}

/**
 * Judges access tokens in full: signature and times, then in one statement whether the token was revoked, its session
 * and its holder live. So a logout or a suspension holds on every node with its commit.
 */
export function createTokenJudge(deps: {
  db: Db;
  clock: Clock;
  verifier: AccessTokenVerifier;
  roles: Pick<Roles, 'resolve'>;
}) {
  const judgeUser = async (tx: Reader, claims: AccessTokenClaims): Promise<JudgedToken | undefined> => {
    const user = await judgeUserToken(tx, {
      uid: claims.sub,
      organization: claims.org,
      sessionId: claims.sid ?? '',
      tokenId: claims.jti,
      clientId: claims.client_id,
      now: deps.clock.now(),
    });
    const good = user?.active && user.session_alive && user.client_active && !user.token_revoked;
    if (!good || user.role_ids === null) return undefined;
    const roles = await deps.roles.resolve(tx, claims.org, user.role_ids);
    return { claims, kind: 'user', username: user.username, homeOrganization: user.home, roles };
  };

  const judgeService = async (tx: Reader, claims: AccessTokenClaims): Promise<JudgedToken | undefined> => {
    const service = await judgeServiceToken(tx, { clientId: claims.sub, tokenId: claims.jti });
    if (!service || service.token_revoked || service.organization !== claims.org) return undefined;
    const roles = await deps.roles.resolve(tx, claims.org, service.role_ids);
    return { claims, kind: 'service', username: undefined, homeOrganization: service.organization, roles };
  };

  return {
    /** Undefined for anything but a token of ours that is good now, whatever the reason. */
    async judge(token: string): Promise<JudgedToken | undefined> {
      const claims = await deps.verifier.verify(token);
      if (!claims) return undefined;
      const judge = claims.sub === claims.client_id ? judgeService : judgeUser;
      return deps.db.read((tx) => judge(tx, claims));
    },
  };
}

export type TokenJudge = ReturnType<typeof createTokenJudge>;
