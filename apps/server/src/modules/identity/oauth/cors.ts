import type { FastifyReply, FastifyRequest } from 'fastify';
import type { OAuthClient } from './clients/client.ts';

/**
 * Pages of a public client may call the endpoints from their own origin: that of a registered redirect URI. No other
 * origin, and never with cookies.
 */
export function allowOrigin(request: FastifyRequest, reply: FastifyReply, client: OAuthClient): void {
  const { origin } = request.headers;
  if (origin === undefined || !isOriginOf(client, origin)) return;
  // On the raw answer too: oidc-provider writes there.
  for (const [name, value] of corsHeaders(origin)) reply.raw.setHeader(name, value);
}

/** True when a public client has a redirect URI at this origin. */
export function isOriginOf(client: OAuthClient, origin: string): boolean {
  return client.authentication === 'none' && client.redirectUris.some((uri) => URL.parse(uri)?.origin === origin);
}

/** Answers the browser's question whether it may send such a request at all (the client is not known yet). */
export function answerPreflight(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { origin } = request.headers;
  if (origin !== undefined) {
    for (const [name, value] of corsHeaders(origin)) reply.header(name, value);
    reply
      .header('access-control-allow-methods', 'GET, POST')
      .header('access-control-allow-headers', 'authorization, content-type, dpop')
      .header('access-control-max-age', '3600');
  }
  return reply.code(204).send();
}

function corsHeaders(origin: string): readonly (readonly [string, string])[] {
  return [
    ['access-control-allow-origin', origin],
    ['access-control-expose-headers', 'dpop-nonce, www-authenticate'],
    ['vary', 'origin'],
  ];
}
