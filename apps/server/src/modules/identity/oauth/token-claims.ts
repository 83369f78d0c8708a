import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Db } from '../../../kernel/index.ts';
import { findSessionByGrant } from '../sessions/session-store.ts';
import type { AccessTokenClaims, AccessTokens } from '../tokens/access-token.ts';
import type { ClientUsers } from './accounts.ts';
import type { ArtifactSeal } from './adapter/artifact-seal.ts';
import type { ClientCache } from './clients/client-cache.ts';
import type { RecordIssue } from './issue-recorder.ts';
import { grantEnded } from './oidc-errors.ts';
import { currentOrigin } from './request-context.ts';

/** An access token of oidc-provider, as far as we look at it. */
export interface OidcAccessToken {
  readonly kind: string;
  readonly accountId: string;
  readonly clientId: string;
  readonly grantId?: string;
  readonly gty?: string;
  readonly scope?: string;
  readonly aud?: string | string[];
  readonly jkt?: string;
}

/** Stands for the audience of a request that names none: the client itself and our own API. */
export const defaultResource = 'urn:gatehouse:default';

const recordedByRefresh = new WeakSet<object>();

/** Notes that the refresh's own audit entry covers this token. */
export function markRecorded(token: object): void {
  recordedByRefresh.add(token);
}

/**
 * Gives the access tokens that oidc-provider signs the claims all our tokens have, and records them before they leave
 * (`formats.customizers.jwt`). A token of a grant whose session has ended is not made.
 */
export function createTokenClaims(deps: {
  db: Db;
  issuer: string;
  seal: ArtifactSeal;
  clients: Pick<ClientCache, 'find'>;
  users: Pick<ClientUsers, 'find'>;
  tokens: Pick<AccessTokens, 'claimsOf'>;
  recordIssue: RecordIssue;
}) {
  return async function customize(
    ctx: KoaContextWithOIDC,
    token: OidcAccessToken,
    jwt: { payload: Record<string, unknown> },
  ): Promise<void> {
    const client = await deps.clients.find(token.clientId);
    const user = client && (await deps.users.find(token.accountId, client));
    const { grantId } = token;
    const session =
      grantId === undefined
        ? undefined
        : await deps.db.read((tx) => findSessionByGrant(tx, deps.seal.grantHash(grantId)));
    if (!client || !user || !session || session.revoked_at) throw grantEnded();

    const claims: AccessTokenClaims = deps.tokens.claimsOf({
      subject: user.uid,
      clientId: client.clientId,
      audience: token.aud === defaultResource ? [client.audience, deps.issuer] : [String(token.aud)],
      organization: user.organization,
      roles: user.roles.names,
      scope: (token.scope ?? '').split(' ').filter(Boolean),
      sessionId: session.id,
      authenticatedAt: authenticatedAt(ctx) ?? session.authenticated_at,
      keyThumbprint: token.jkt,
    });
    const jti = jwt.payload['jti'];
    const named = typeof jti === 'string' && recordedByRefresh.has(token) ? { ...claims, jti } : claims;
    jwt.payload = named;
    if (!recordedByRefresh.has(token)) {
      await deps.recordIssue({ claims: named, grant: token.gty ?? 'authorization_code', origin: currentOrigin() });
    }
  };
}

/** When the user signed in: the code, device code or refresh token at hand says it. */
function authenticatedAt(ctx: KoaContextWithOIDC): Date | undefined {
  const { AuthorizationCode, DeviceCode, RefreshToken } = ctx.oidc.entities as Record<string, { authTime?: number }>;
  const seconds = (AuthorizationCode ?? DeviceCode ?? RefreshToken)?.authTime;
  return seconds === undefined ? undefined : new Date(seconds * 1000);
}
