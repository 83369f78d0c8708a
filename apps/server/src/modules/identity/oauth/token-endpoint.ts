import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Random } from '../../../kernel/index.ts';
import { ProofRefused, type Proofs } from '../tokens/dpop.ts';
import type { AuthenticateClient } from './client-authentication/authenticate-client.ts';
import { type Form, parseForm } from './client-authentication/form.ts';
import { makeTicket, withTicket } from './client-authentication/ticket.ts';
import { canUseGrant, type GrantName, grantTypes, type OAuthClient } from './clients/client.ts';
import { allowOrigin } from './cors.ts';
import type { IssueClientCredentials } from './grants/client-credentials.ts';
import { type ExchangeToken, exchange } from './grants/token-exchange.ts';
import type { HandOver } from './hand-over.ts';
import { invalidRequest, OAuthError } from './oauth-error.ts';

export interface TokenEndpointDeps {
  readonly issuer: string;
  readonly random: Random;
  readonly authenticateClient: AuthenticateClient;
  readonly proofs: Proofs;
  readonly issueClientCredentials: IssueClientCredentials;
  readonly exchangeToken: ExchangeToken | undefined;
  readonly handOver: HandOver;
}

const grantNames = new Map<string, GrantName>(
  Object.entries(grantTypes).map(([name, type]) => [type, name as GrantName]),
);

/**
 * `POST /oauth/token` in numbered steps, so that no grant can forget one. Client credentials and token exchange are
 * answered here; the grants a person takes part in go on to oidc-provider with the client already authenticated.
 */
export function createTokenEndpoint(deps: TokenEndpointDeps) {
  const url = `${deps.issuer}/oauth/token`;

  return async function token(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    // 1. The form.
    const form = parseForm(request.headers['content-type'], request.body as Buffer | undefined);
    // 2. The client.
    const client = await deps.authenticateClient({
      authorization: request.headers.authorization,
      params: form.single,
      url,
      origin: request.origin,
    });
    allowOrigin(request, reply, client);
    // 3. The grant: known, and allowed to this client.
    const grant = grantOf(form, client);
    // 4. The grant's own work.
    switch (grant) {
      case 'client_credentials': {
        const keyThumbprint = await checkProof(request, client);
        const origin = { ...request.origin, organization: client.organization };
        return answer(reply, await deps.issueClientCredentials({ client, form, origin, keyThumbprint }));
      }
      case 'token_exchange': {
        if (!deps.exchangeToken) throw new OAuthError('unsupported_grant_type', 'token exchange is not set up');
        const origin = {
          ...request.origin,
          actor: { type: 'service', id: client.clientId },
          organization: client.organization,
        } as const;
        return answer(reply, await exchange(deps.exchangeToken, { client, form, origin }));
      }
      default: {
        const ticket = makeTicket(client, deps.random);
        return deps.handOver(request, reply, { ticket, form: withTicket(form.all, client, ticket) });
      }
    }
  };

  /** The key of the proof, when the request carries one (RFC 9449 §5). */
  async function checkProof(request: FastifyRequest, client: OAuthClient): Promise<string | undefined> {
    const proof = request.headers['dpop'];
    if (proof === undefined) return undefined;
    if (typeof proof !== 'string') throw new OAuthError('invalid_dpop_proof', 'one DPoP header only');
    try {
      return await deps.proofs.check({ proof, clientId: client.clientId, method: 'POST', url });
    } catch (error) {
      if (!(error instanceof ProofRefused)) throw error;
      const code = error.nonce === undefined ? 'invalid_dpop_proof' : 'use_dpop_nonce';
      const headers = error.nonce === undefined ? {} : { 'dpop-nonce': error.nonce };
      throw new OAuthError(code, error.message, { headers });
    }
  }
}

function grantOf(form: Form, client: OAuthClient): GrantName {
  const type = form.single['grant_type'];
  if (type === undefined) throw invalidRequest('grant_type is missing');
  const grant = grantNames.get(type);
  if (!grant) throw new OAuthError('unsupported_grant_type', 'this grant type is not supported');
  if (!canUseGrant(client, grant)) {
    throw new OAuthError('unauthorized_client', 'this grant type is not allowed to the client');
  }
  return grant;
}

function answer(reply: FastifyReply, body: object): FastifyReply {
  return reply
    .header('cache-control', 'no-store')
    .header('content-type', 'application/json; charset=utf-8')
    .serializer((value: unknown) => JSON.stringify(value))
    .send(body);
}
