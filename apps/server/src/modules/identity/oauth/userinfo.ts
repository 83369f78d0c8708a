import type { FastifyReply, FastifyRequest } from 'fastify';
import { ProofRefused, type Proofs } from '../tokens/dpop.ts';
import type { TokenJudge } from '../tokens/token-judge.ts';
import { parseForm } from './client-authentication/form.ts';
import type { ClientCache } from './clients/client-cache.ts';
import { allowOrigin } from './cors.ts';
import { OAuthError } from './oauth-error.ts';

/** `GET` and `POST /oauth/userinfo` (OpenID Connect Core §5.3): what the token's scopes let the client know of the user. */
export function createUserinfo(deps: {
  issuer: string;
  judge: TokenJudge;
  proofs: Proofs;
  clients: Pick<ClientCache, 'find'>;
}) {
  const url = `${deps.issuer}/oauth/userinfo`;
  return async function userinfo(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { scheme, token } = readToken(request);
    const judged = await deps.judge.judge(token);
    if (!judged || judged.kind !== 'user') throw invalidToken('the access token is not valid');
    const { claims, roles, username } = judged;
    const audience = typeof claims.aud === 'string' ? [claims.aud] : claims.aud;
    if (!audience.includes(deps.issuer)) throw invalidToken('the access token is meant for another service');
    if ((claims.cnf === undefined) !== (scheme === 'bearer')) throw invalidToken('the access token is of another kind');
    if (claims.cnf) await checkProof(request, token, claims.client_id, claims.cnf.jkt);
    const scope = claims.scope.split(' ');
    if (!scope.includes('openid')) {
      throw new OAuthError('insufficient_scope', 'the access token has not the scope openid', {
        status: 403,
        headers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="openid"' },
      });
    }
    const client = await deps.clients.find(claims.client_id);
    if (client) allowOrigin(request, reply, client);
    return reply
      .header('cache-control', 'no-store')
      .header('content-type', 'application/json; charset=utf-8')
      .serializer((value: unknown) => JSON.stringify(value))
      .send({
        sub: claims.sub,
        org: claims.org,
        roles: [...roles.names],
        ...(scope.includes('profile') ? { preferred_username: username } : {}),
      });
  };

  async function checkProof(request: FastifyRequest, token: string, clientId: string, jkt: string): Promise<void> {
    const proof = request.headers['dpop'];
    try {
      if (typeof proof !== 'string') throw new ProofRefused('a DPoP proof is needed');
      const thumbprint = await deps.proofs.check({ proof, clientId, method: request.method, url, accessToken: token });
      if (thumbprint !== jkt) throw new ProofRefused('the proof is of another key');
    } catch (error) {
      if (!(error instanceof ProofRefused)) throw error;
      const code = error.nonce === undefined ? 'invalid_dpop_proof' : 'use_dpop_nonce';
      throw new OAuthError(code, error.message, {
        status: 401,
        headers: {
          'www-authenticate': `DPoP error="${code}", algs="ES256 EdDSA"`,
          ...(error.nonce === undefined ? {} : { 'dpop-nonce': error.nonce }),
        },
      });
    }
  }
}

/** RFC 6750 §2.1 and §2.2; never in the query (§2.3). */
function readToken(request: FastifyRequest): { scheme: string; token: string } {
  const match = /^(bearer|dpop) +([A-Za-z0-9._~+/-]+=*)$/i.exec(request.headers.authorization ?? '');
  const form =
    request.method === 'POST'
      ? parseForm(request.headers['content-type'], request.body as Buffer | undefined).single['access_token']
      : undefined;
  if (match && form !== undefined) throw new OAuthError('invalid_request', 'the token was sent in two ways');
  if (match) return { scheme: (match[1] as string).toLowerCase(), token: match[2] as string };
  if (form !== undefined) return { scheme: 'bearer', token: form };
  throw new OAuthError('invalid_token', 'an access token is needed', {
    status: 401,
    headers: { 'www-authenticate': 'Bearer' },
  });
}

function invalidToken(description: string): OAuthError {
  return new OAuthError('invalid_token', description, {
    status: 401,
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
  });
}
