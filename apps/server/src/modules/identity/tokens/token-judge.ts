import { type Clock, createSharedRead, type Db } from '../../../kernel/index.ts';
import type { ResolvedRoles } from '../roles/role.ts';
import type { Roles } from '../roles/role-service.ts';
import type { AccessTokenClaims } from './access-token.ts';
import {
  judgeServiceTokens,
  judgeUserTokens,
  type ServiceToken,
  type ServiceTokenRow,
  type UserToken,
  type UserTokenRow,
} from './subject-store.ts';
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
 * and its holder live. So a logout or a suspension holds on every node with its commit. Parallel requests share the
 * statement, which begins after each of them has come.
 */
export function createTokenJudge(deps: {
  db: Db;
  clock: Clock;
  verifier: AccessTokenVerifier;
  roles: Pick<Roles, 'resolve'>;
}) {
  const { db, clock, roles } = deps;
  const userToken = createSharedRead(
    db,
    ({ tokenId }: UserToken) => tokenId,
    async (tx, tokens) => {
      const users = await judgeUserTokens(tx, tokens, clock.now());
      const judged = new Map<string, { user: UserTokenRow; roles: ResolvedRoles }>();
      for (const { tokenId, organization } of tokens) {
        const user = users.get(tokenId);
        const isGood = user?.active && user.session_alive && user.client_active && !user.token_revoked;
        if (!isGood || user.role_ids === null) continue;
        judged.set(tokenId, { user, roles: await roles.resolve(tx, organization, user.role_ids) });
      }
      return judged;
    },
  );
  const serviceToken = createSharedRead(
    db,
    ({ tokenId }: ServiceToken) => tokenId,
    async (tx, tokens) => {
      const services = await judgeServiceTokens(tx, tokens);
      const judged = new Map<string, { service: ServiceTokenRow; roles: ResolvedRoles }>();
      for (const [tokenId, service] of services) {
        if (service.token_revoked) continue;
        judged.set(tokenId, { service, roles: await roles.resolve(tx, service.organization, service.role_ids) });
      }
      return judged;
    },
  );

  const judgeUser = async (claims: AccessTokenClaims): Promise<JudgedToken | undefined> => {
    const good = await userToken({
      uid: claims.sub,
      organization: claims.org,
      sessionId: claims.sid ?? '',
      tokenId: claims.jti,
      clientId: claims.client_id,
    });
    if (!good) return undefined;
    const { username, home: homeOrganization } = good.user;
    return { claims, kind: 'user', username, homeOrganization, roles: good.roles };
  };

  const judgeService = async (claims: AccessTokenClaims): Promise<JudgedToken | undefined> => {
    const good = await serviceToken({ clientId: claims.sub, tokenId: claims.jti });
    if (!good || good.service.organization !== claims.org) return undefined;
    const { organization: homeOrganization } = good.service;
    return { claims, kind: 'service', username: undefined, homeOrganization, roles: good.roles };
  };

  return {
    /** Undefined for anything but a token of ours that is good now, whatever the reason. */
    async judge(token: string): Promise<JudgedToken | undefined> {
      const claims = await deps.verifier.verify(token);
      if (!claims) return undefined;
      return claims.sub === claims.client_id ? judgeService(claims) : judgeUser(claims);
    },
  };
}

export type TokenJudge = ReturnType<typeof createTokenJudge>;
