/**
 * `@gatehouse/sdk/fastify`: this service's own keys in a Fastify application.
 *
 * `gatehousePop` adds `GET /pop` and `GET /pop/{kid}.pem`, and opens request bodies of type `application/jose`: a
 * route then sees the plaintext as its body, as if it had come plain. `gatehouseAuth` verifies access tokens.
 */
import type { IncomingMessage } from 'node:http';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { GatehouseError, isGatehouseError } from './errors.ts';
import type { Opened, Pop } from './pop/pop.ts';
import { answerKeys, answerPem, type PopAnswer, problem } from './pop/pop-handler.ts';
import type { AccessToken } from './tokens/access-token.ts';
import { bearerToken, type TokenVerifier } from './tokens/token-verifier.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `gatehouseAuth` lets requests without a token through to this route. */
    public?: boolean;
  }
  interface FastifyRequest {
    /** Set when the body arrived sealed: the key it was sealed to and what the sender said it is. */
    sealed: { kid: string; contentType?: string } | null;
    /** Set by `gatehouseAuth` (or by its hook): who is calling. */
    accessToken: AccessToken | null;
  }
}

/** Options of the plugin. */
export interface GatehousePopOptions {
  pop: Pop;
  /** Where the keys are published. Default `/pop`. */
  path?: string;
  /** Largest plaintext of a sealed body. Default 1 MiB. */
  maxPlaintextBytes?: number;
}

/** A body that was read but not yet opened; `undefined` when it was too large to be read. */
interface SealedBody {
  [sealedText]: string | undefined;
}

const sealedText = Symbol('sealed body');
const defaultMaxPlaintextBytes = 1024 * 1024;
const maxFrameBytes = 4096; // header, encrypted key (RSA-4096: 684), nonce, tag and dots

/**
 * Publishes the keys and opens sealed bodies.
 *
 * @example await app.register(gatehousePop, { pop });
 */
export const gatehousePop: FastifyPluginAsync<GatehousePopOptions> = unencapsulated(async (app, options) => {
  const { pop, path = '/pop', maxPlaintextBytes = defaultMaxPlaintextBytes } = options;
  const maxBytes = Math.ceil((maxPlaintextBytes * 4) / 3) + maxFrameBytes;

  const isPublic = { config: { public: true } };
  app.get(path, isPublic, async (request, reply) => send(reply, answerKeys(pop, request.headers['if-none-match'])));
  app.get(`${path}/:file`, isPublic, async (request, reply) =>
    send(reply, answerPem(pop, (request.params as { file: string }).file)),
  );

  app.decorateRequest('sealed', null);
  app.addContentTypeParser('application/jose', async (_request: FastifyRequest, payload: IncomingMessage) => {
    const body: SealedBody = { [sealedText]: await readText(payload, maxBytes) };
    return body;
  });
  app.addHook('preValidation', async (request, reply) => {
    if (!isSealedBody(request.body)) return undefined;
    const jwe = request.body[sealedText];
    request.body = undefined;
    if (jwe === undefined) {
      // The rest of the body may not have been read: the connection cannot carry another request.
      reply.header('connection', 'close');
      return send(reply, tooLarge(maxPlaintextBytes));
    }
    try {
      const opened = await pop.open(jwe.trim(), { maxBytes });
      if (opened.plaintext.byteLength > maxPlaintextBytes) return send(reply, tooLarge(maxPlaintextBytes));
      request.body = bodyOf(opened);
      request.sealed = {
        kid: opened.kid,
        ...(opened.contentType === undefined ? {} : { contentType: opened.contentType }),
      };
      return undefined;
    } catch (error) {
      if (!isGatehouseError(error) || error.code === 'pop_store_unavailable') throw error;
      const status = error.code === 'sealed_too_large' ? 413 : 400;
      return send(reply, problem(status, 'The sealed body cannot be opened', error.message, error.code));
    }
  });
});

/** Options of the hook and the plugin. */
export interface GatehouseAuthOptions {
  tokens: TokenVerifier;
}

/**
 * Refuses every request without a valid access token (401, RFC 6750 §3) and sets `request.accessToken`, for all routes
 * of the application or plugin it is registered in, except those with `config: { public: true }`.
 *
 * @example await app.register(gatehouseAuth, { tokens });
 */
export const gatehouseAuth: FastifyPluginAsync<GatehouseAuthOptions> = unencapsulated(async (app, { tokens }) => {
  app.decorateRequest('accessToken', null);
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config?.public === true) return undefined;
    try {
      request.accessToken = await tokens.verify(bearerToken(request.headers.authorization));
      return undefined;
    } catch (error) {
      if (!isGatehouseError(error)) throw error;
      if (error.code === 'keys_unavailable') {
        reply.header('retry-after', '5');
        return send(reply, problem(503, 'Tokens cannot be verified now', error.message, error.code));
      }
      const challenge = error.code === 'token_missing' ? 'Bearer' : 'Bearer error="invalid_token"';
      reply.header('www-authenticate', challenge);
      return send(reply, problem(401, 'An access token is needed', error.message, error.code));
    }
  });
});

/** JSON becomes its value, as with a plain JSON body; anything else stays bytes. */
function bodyOf(opened: Opened): unknown {
  const bytes = Buffer.from(opened.plaintext.buffer, opened.plaintext.byteOffset, opened.plaintext.byteLength);
  const type = opened.contentType?.toLowerCase().replace(/^application\//, '');
  if (type !== 'json') return bytes;
  try {
    return JSON.parse(bytes.toString('utf8'), refusePrototypes) as unknown;
  } catch {
    throw new GatehouseError('sealed_malformed', 'The sealed body says it is JSON (cty) and is not.');
  }
}

/** Members that would become a prototype where a route copies the body: Fastify refuses them in a plain body, too. */
function refusePrototypes(key: string, value: unknown): unknown {
  const isPrototype = key === '__proto__' || (key === 'constructor' && Object.hasOwn(Object(value), 'prototype'));
  if (isPrototype) throw new SyntaxError('a member names a prototype');
  return value;
}

/**
 * Reads a body up to `maxBytes`; a larger one is `undefined`. What is too much is read on and dropped, up to four times
 * the bound, because a sender that is still sending would not see the answer.
 */
async function readText(payload: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  let chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of payload as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) chunks = [];
    else chunks.push(chunk);
    if (bytes > maxBytes * 4) break;
  }
  return bytes > maxBytes ? undefined : Buffer.concat(chunks).toString('latin1');
}

function isSealedBody(body: unknown): body is SealedBody {
  return typeof body === 'object' && body !== null && sealedText in body;
}

function tooLarge(maxPlaintextBytes: number): PopAnswer {
  const detail = `A sealed body may hold at most ${maxPlaintextBytes} bytes.`;
  return problem(413, 'The sealed body is too large', detail, 'sealed_too_large');
}

function send(reply: FastifyReply, answer: PopAnswer): FastifyReply {
  return reply.code(answer.status).headers(answer.headers).send(answer.body);
}

/** Makes what the plugin adds visible to the whole application (what the package fastify-plugin does). */
function unencapsulated<O extends object>(plugin: FastifyPluginAsync<O>): FastifyPluginAsync<O> {
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true });
}
