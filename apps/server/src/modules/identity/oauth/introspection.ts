import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock, Db } from '../../../kernel/index.ts';
import { judgeRefreshToken, refreshTokenHash } from '../tokens/refresh-rotation.ts';
import { findRefreshToken } from '../tokens/refresh-store.ts';
import type { TokenJudge } from '../tokens/token-judge.ts';
import type { AuthenticateClient } from './client-authentication/authenticate-client.ts';
import { parseForm } from './client-authentication/form.ts';
import type { OAuthClient } from './clients/client.ts';
import { invalidClient, invalidRequest } from './oauth-error.ts';

/**
 * `POST /oauth/introspect` (RFC 7662). A service learns about access tokens that are meant for it or were issued to it,
 * within its organization, and about its own refresh tokens. Everything else is `{"active": false}`, whatever it is.
 */
export function createIntrospection(deps: {
  issuer: string;
  db: Db;
  clock: Clock;
  judge: TokenJudge;
  authenticateClient: AuthenticateClient;
}) {
  return async function introspect(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const form = parseForm(request.headers['content-type'], request.body as Buffer | undefined);
    const client = await deps.authenticateClient({
      authorization: request.headers.authorization,
      params: form.single,
      url: `${deps.issuer}/oauth/introspect`,
      origin: request.origin,
    });
    if (client.authentication === 'none') throw invalidClient('a public client cannot introspect');
    const token = form.single['token'];
    if (token === undefined) throw invalidRequest('token is missing');
    const answer = (token.includes('.') ? await accessToken(token, client) : await refreshToken(token, client)) ?? {
      active: false,
    };
    return reply
      .header('cache-control', 'no-store')
      .header('content-type', 'application/json; charset=utf-8')
      .serializer((value: unknown) => JSON.stringify(value))
      .send(answer);
  };

  async function accessToken(token: string, client: OAuthClient): Promise<object | undefined> {
    const judged = await deps.judge.judge(token);
    if (!judged) return undefined;
    const { claims } = judged;
    const audience = typeof claims.aud === 'string' ? [claims.aud] : claims.aud;
    const concerned = claims.client_id === client.clientId || audience.includes(client.audience);
    if (!concerned || claims.org !== client.organization) return undefined;
    return {
      active: true,
      token_type: claims.cnf === undefined ? 'Bearer' : 'DPoP',
      ...claims,
      roles: [...judged.roles.names],
      ...(judged.username === undefined ? {} : { username: judged.username }),
    };
  }

  async function refreshToken(value: string, client: OAuthClient): Promise<object | undefined> {
    const token = await deps.db.read((tx) => findRefreshToken(tx, refreshTokenHash(value)));
    if (!token || token.used_at || judgeRefreshToken(token, client.clientId, deps.clock.now())) return undefined;
    return {
      active: true,
      client_id: client.clientId,
      sub: token.user_id,
      iss: deps.issuer,
      exp: Math.floor(token.expires_at.getTime() / 1000),
      sid: token.session_id,
    };
  }
}
