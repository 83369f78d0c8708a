import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock, Db, Origin } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { SessionEnding } from '../sessions/session-ending.ts';
import { clockSkewSeconds } from '../tokens/limits.ts';
import { refreshTokenHash } from '../tokens/refresh-rotation.ts';
import { findRefreshToken } from '../tokens/refresh-store.ts';
import { revokeTokenId } from '../tokens/token-store.ts';
import type { AccessTokenVerifier } from '../tokens/verify-access-token.ts';
import type { AuthenticateClient } from './client-authentication/authenticate-client.ts';
import { parseForm } from './client-authentication/form.ts';
import type { OAuthClient } from './clients/client.ts';
import { allowOrigin } from './cors.ts';
import { invalidRequest } from './oauth-error.ts';

/**
 * `POST /oauth/revoke` (RFC 7009). A client revokes its own tokens: an access token by its `jti`, a refresh token with
 * its whole session. Any other token is answered the same (§2.2), so nothing is learnt about it.
 */
export function createRevocation(deps: {
  issuer: string;
  db: Db;
  clock: Clock;
  audit: Pick<Audit, 'append'>;
  verifier: AccessTokenVerifier;
  ending: SessionEnding;
  authenticateClient: AuthenticateClient;
}) {
  return async function revoke(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const form = parseForm(request.headers['content-type'], request.body as Buffer | undefined);
    const client = await deps.authenticateClient({
      authorization: request.headers.authorization,
      params: form.single,
      url: `${deps.issuer}/oauth/revoke`,
      origin: request.origin,
    });
    allowOrigin(request, reply, client);
    const token = form.single['token'];
    if (token === undefined) throw invalidRequest('token is missing');
    const origin: Origin = {
      ...request.origin,
      actor: { type: 'service', id: client.clientId },
      organization: client.organization,
    };
    await (token.includes('.') ? revokeAccessToken(token, client, origin) : revokeRefreshToken(token, client, origin));
    return reply.header('cache-control', 'no-store').code(200).send();
  };

  async function revokeAccessToken(token: string, client: OAuthClient, origin: Origin): Promise<void> {
    const claims = await deps.verifier.verify(token);
    if (!claims || claims.client_id !== client.clientId) return;
    const expiresAt = new Date((claims.exp + clockSkewSeconds + 1) * 1000);
    await deps.db.transaction(async (tx) => {
      if (!(await revokeTokenId(tx, claims.jti, expiresAt))) return;
      await deps.audit.append(tx, {
        action: 'token.revoked',
        organization: claims.org,
        origin,
        target: { type: 'token', id: claims.jti },
        details: { client_id: client.clientId, subject: claims.sub },
      });
    });
  }

  async function revokeRefreshToken(value: string, client: OAuthClient, origin: Origin): Promise<void> {
    await deps.db.transaction(async (tx) => {
      const token = await findRefreshToken(tx, refreshTokenHash(value));
      if (!token || token.client_id !== client.clientId) return;
      await deps.ending.endSession(tx, { id: token.session_id, reason: 'refresh token revoked by its client', origin });
    });
  }
}
