import { strictObject } from '@gatehouse/contracts';
import { publicJwkToPem } from '@gatehouse/crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { type App, AppError, type Clock } from '../../kernel/index.ts';
import type { KeyMemory } from './key-memory.ts';
import type { KeyUse } from './key-use.ts';
import { isAccepted, type PublicDocument } from './public-documents.ts';

const tags = ['public keys'];
const config = { auth: { public: 'public keys are for everyone; they hold no private member' } } as const;

const PublicJwk = Type.Object(
  {
    kty: Type.String(),
    kid: Type.String({ description: 'RFC 7638 thumbprint' }),
    use: Type.Union([Type.Literal('sig'), Type.Literal('enc')]),
    alg: Type.String(),
    n: Type.Optional(Type.String()),
    e: Type.Optional(Type.String()),
    crv: Type.Optional(Type.String()),
    x: Type.Optional(Type.String()),
    y: Type.Optional(Type.String()),
  },
  { additionalProperties: false, description: 'RFC 7517 public key' },
);
const Jwks = strictObject({ keys: Type.Array(PublicJwk) }, { description: 'RFC 7517 key set' });
const Unchanged = Type.Null({ description: 'The document is still the one of If-None-Match' });
const Kid = strictObject({ kid: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }) });

/** Public keys as documents and in PEM. Served from memory: they go on when the database is away. */
export function publicKeyRoutes(deps: {
  use: Pick<KeyUse, 'jwks' | 'pop'>;
  memory: Pick<KeyMemory, 'current'>;
  clock: Clock;
}): (app: App) => void {
  const { use, memory, clock } = deps;

  const pemOf = (kid: string, purposes: readonly string[]): string => {
    const { byKid, keyrings } = memory.current();
    const key = byKid.get(kid);
    const purpose = key && keyrings.get(key.keyring)?.purpose;
    if (!key || purpose === undefined || !purposes.includes(purpose) || !isAccepted(key, clock.now())) {
      throw new AppError('kernel.not_found', { detail: 'There is no such public key, or it has expired.' });
    }
    return publicJwkToPem(key.publicJwk);
  };

  return (app) => {
    app.get(
      '/.well-known/jwks.json',
      {
        config,
        schema: {
          summary: 'Public signature keys (RFC 7517)',
          description: 'Keys that sign tokens, those that will, and those whose tokens may still be valid.',
          tags,
          operationId: 'getJwks',
          response: { 200: Jwks, 304: Unchanged },
        },
      },
      async (request, reply) => sendDocument(request, reply, use.jwks()),
    );
    app.get(
      '/pop',
      {
        config,
        schema: {
          summary: 'Public keys to seal messages to, and signature keys in use',
          description: 'Seal credentials to a key with "use": "enc": RSA-OAEP-256 or ECDH-ES+A256KW, with A256GCM.',
          tags,
          operationId: 'getPop',
          response: { 200: Jwks, 304: Unchanged },
        },
      },
      async (request, reply) => sendDocument(request, reply, use.pop()),
    );
    const pemSchema = (operationId: string) => ({
      summary: 'One public key in PEM (SubjectPublicKeyInfo)',
      tags,
      operationId,
      params: Kid,
      response: { 200: { content: { 'application/x-pem-file': { schema: Type.String() } } } },
    });
    app.get(
      '/.well-known/jwks/:kid(^[A-Za-z0-9_-]{43}).pem',
      { config, schema: pemSchema('getJwksPem') },
      async (request, reply) => sendPem(reply, pemOf(request.params.kid, ['tokens']), use.jwks()),
    );
    app.get('/pop/:kid(^[A-Za-z0-9_-]{43}).pem', { config, schema: pemSchema('getPopPem') }, async (request, reply) =>
      sendPem(reply, pemOf(request.params.kid, ['tokens', 'pop']), use.pop()),
    );
  };
}

/** Readable by scripts of any origin, and cached as long as the schedule allows. */
function publish(reply: FastifyReply, document: PublicDocument): FastifyReply {
  return reply
    .header('cache-control', `public, max-age=${document.maxAgeSeconds}`)
    .header('access-control-allow-origin', '*')
    .header('cross-origin-resource-policy', 'cross-origin');
}

/** `application/json`, not `application/jwk-set+json`: existing clients of `/pop` read JSON. */
function sendDocument(request: FastifyRequest, reply: FastifyReply, document: PublicDocument): FastifyReply {
  publish(reply, document).header('etag', document.etag);
  if (matches(request.headers['if-none-match'], document.etag)) return reply.code(304).send();
  return reply
    .type('application/json; charset=utf-8')
    .serializer((body: unknown) => body as string)
    .send(document.text);
}

function sendPem(reply: FastifyReply, pem: string, document: PublicDocument): FastifyReply {
  return publish(reply, document).type('application/x-pem-file').send(pem);
}

/** RFC 9110 §13.1.2: a list of tags, weak ones included, or `*`. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((part) => part.trim() === '*' || part.trim().replace(/^W\//, '') === etag);
}
