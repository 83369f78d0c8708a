import { namePattern } from '@gatehouse/contracts';
import type { FastifyRequest } from 'fastify';
import { AppError, type Db, type Principal, unauthenticated } from '../../../kernel/index.ts';
import { operatorOrganization } from '../deps.ts';
import { ProofRefused, type Proofs } from './dpop.ts';
import { isOrganization } from './subject-store.ts';
import type { JudgedToken, TokenJudge } from './token-judge.ts';

/** The header by which an operator acts on another organization. */
export const organizationHeader = 'gatehouse-organization';

/**
 * Finds the caller of our own API: `Authorization: Bearer` (RFC 6750; the scheme in any case) or `DPoP` (RFC 9449).
 * Undefined without credentials; throws when there are some that are not good.
 */
export function createAuthenticator(deps: { issuer: string; db: Db; judge: TokenJudge; proofs: Proofs }) {
  return async function authenticate(request: FastifyRequest): Promise<Principal | undefined> {
    const { authorization } = request.headers;
    if (authorization === undefined) return undefined;
    const match = /^(bearer|dpop) +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization);
    const [, scheme = '', token = ''] = match ?? [];
    if (token === '') throw unauthenticated('The Authorization header is not of the form "Bearer <token>".');

    const judged = await deps.judge.judge(token);
    if (!judged) throw unauthenticated('The access token is not valid, has expired or was revoked.');
    if (!isFor(judged, deps.issuer)) throw unauthenticated('The access token is meant for another service.');
    await checkBinding(request, judged, scheme.toLowerCase(), token);
    if (judged.kind === 'user' && !scopeOf(judged).includes('gatehouse')) {
      throw new AppError('kernel.forbidden', {
        detail: 'The access token has not the scope "gatehouse", which using this API on behalf of a user needs.',
        headers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="gatehouse"' },
      });
    }
    return toPrincipal(judged, await effectiveOrganization(request, judged));
  };

  /** A token bound to a key is good only with a proof of that key; a proof with an unbound token is a mistake. */
  async function checkBinding(
    request: FastifyRequest,
    judged: JudgedToken,
    scheme: string,
    token: string,
  ): Promise<void> {
    const bound = judged.claims.cnf?.jkt;
    const proof = request.headers['dpop'];
    if (bound === undefined) {
      if (scheme !== 'bearer') throw unauthenticated('The access token is not bound to a key; send it as Bearer.');
      return;
    }
    if (scheme !== 'dpop' || typeof proof !== 'string') {
      throw unauthenticated('The access token is bound to a key; send it as DPoP with a proof.');
    }
    try {
      const thumbprint = await deps.proofs.check({
        proof,
        clientId: judged.claims.client_id,
        method: request.method,
        url: `${deps.issuer}${request.url}`,
        accessToken: token,
      });
      if (thumbprint !== bound) throw new ProofRefused('the proof is of another key');
    } catch (error) {
      if (!(error instanceof ProofRefused)) throw error;
      const code = error.nonce === undefined ? 'invalid_dpop_proof' : 'use_dpop_nonce';
      throw new AppError('kernel.unauthenticated', {
        detail: `The DPoP proof is not accepted: ${error.message}.`,
        headers: {
          'www-authenticate': `DPoP error="${code}", algs="ES256 EdDSA"`,
          ...(error.nonce === undefined ? {} : { 'dpop-nonce': error.nonce }),
        },
      });
    }
  }

  /** The token's organization, or the one an operator names in the header. */
  async function effectiveOrganization(request: FastifyRequest, judged: JudgedToken): Promise<string> {
    const named = request.headers[organizationHeader];
    if (named === undefined || named === judged.claims.org) return judged.claims.org;
    if (!isOperator(judged)) {
      throw new AppError('kernel.forbidden', { detail: 'Only operators act on another organization.' });
    }
    const exists =
      typeof named === 'string' &&
      new RegExp(namePattern).test(named) &&
      (await deps.db.read((tx) => isOrganization(tx, named)));
    if (!exists)
      throw new AppError('kernel.not_found', { detail: `The header ${organizationHeader} names no organization.` });
    return named;
  }
}

export type Authenticator = ReturnType<typeof createAuthenticator>;

function isFor({ claims }: JudgedToken, issuer: string): boolean {
  return typeof claims.aud === 'string' ? claims.aud === issuer : claims.aud.includes(issuer);
}

function scopeOf({ claims }: JudgedToken): string[] {
  return claims.scope.split(' ').filter(Boolean);
}

function isOperator(judged: JudgedToken): boolean {
  return judged.claims.org === operatorOrganization && judged.roles.operator;
}

function toPrincipal(judged: JudgedToken, organization: string): Principal {
  const { claims, roles } = judged;
  return {
    kind: judged.kind,
    id: claims.sub,
    clientId: claims.client_id,
    organization,
    homeOrganization: judged.homeOrganization,
    operator: isOperator(judged),
    ...(claims.sid === undefined ? {} : { sessionId: claims.sid }),
    roles: roles.names,
    permissions: roles.permissions,
    scope: scopeOf(judged),
    tokenId: claims.jti,
    ...(claims.auth_time === undefined ? {} : { authenticatedAt: new Date(claims.auth_time * 1000) }),
  };
}
