import type { IncomingMessage, ServerResponse } from 'node:http';
import formbody from '@fastify/formbody';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Problem } from '@gatehouse/contracts';
import { parseJsonStrict } from '@gatehouse/crypto';
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  LogController,
  type RawServerDefault,
  type RouteOptions,
} from 'fastify';
import { AppError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Random } from '../random.ts';
import { installAuth } from './auth.ts';
import { createBrokenRequestHandler } from './broken-request.ts';
import { installCompilers } from './compilers.ts';
import { createDrain } from './drain.ts';
import { hasOneHost, isOurHost } from './host.ts';
import { handleError } from './problem.ts';
import { securityHeaders } from './security-headers.ts';

/** The HTTP application: Fastify with TypeBox types. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** Largest JSON body, bytes. */
export const maxBodyBytes = 1024 * 1024;
/** Deepest JSON nesting accepted. */
export const maxBodyDepth = 32;

/**
 * Creates the HTTP application: strict validation, problem JSON, deny by default, request ids, bounded input,
 * security headers on every answer, a metric per route.
 */
export async function createHttp(options: {
  log: Logger;
  metrics: Metrics;
  random: Random;
  publicUrl: string;
  trustProxy: readonly string[];
}): Promise<App> {
  const { metrics } = options;
  const loggerInstance: FastifyBaseLogger = options.log;
  const ownHost = new URL(options.publicUrl).host;
  const headers = securityHeaders({ https: options.publicUrl.startsWith('https:') });
  const app = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    // Every line about a request carries its id already; a logger per request would be 4 % of issuing a token.
    childLoggerFactory: (logger) => logger,
    genReqId: () => options.random.id('req'),
    trustProxy: options.trustProxy.length > 0 ? [...options.trustProxy] : false,
    bodyLimit: maxBodyBytes,
    connectionTimeout: 0,
    requestTimeout: 20_000,
    keepAliveTimeout: 65_000,
    http: {
      headersTimeout: 10_000,
      connectionsCheckingInterval: 5_000, // how late a slow request is noticed; Node's own 30 s would make 10 s 40
      maxHeaderSize: 16_384,
      requireHostHeader: false, // judged by `hasOneHost`
    },
    routerOptions: { maxParamLength: 256, ignoreTrailingSlash: false },
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // These two come before any hook runs.
    frameworkErrors(error, request, reply) {
      for (const [name, value] of [...headers, ['x-request-id', request.id] as const]) reply.raw.setHeader(name, value);
      handleError(error, request, reply);
    },
    clientErrorHandler: createBrokenRequestHandler({ random: options.random, headers }),
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.addSchema({ ...Problem, $id: 'Problem' });
  installCompilers(app);
  app.setErrorHandler(handleError);
  app.setNotFoundHandler((request, reply) => {
    handleError(
      new AppError('kernel.not_found', { detail: 'No such path here. The API is described at /docs.' }),
      request,
      reply,
    );
  });
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, parseJsonStrict(body, { maxDepth: maxBodyDepth, maxBytes: maxBodyBytes }));
    } catch (error) {
      done(
        new AppError('kernel.invalid_request', {
          detail: `The body is not JSON as we accept it: ${(error as Error).message}`,
        }),
      );
    }
  });
  await app.register(formbody, { bodyLimit: 128 * 1024 });

  app.addHook('onRequest', async (request, reply) => {
    for (const [name, value] of headers) reply.raw.setHeader(name, value);
    reply.raw.setHeader('x-request-id', request.id); // on the raw answer: OAuth pages are written there
    if (!hasOneHost(request)) {
      throw new AppError('kernel.invalid_request', { detail: 'A request has one Host header (RFC 9112 §3.2).' });
    }
    if (!request.routeOptions.config?.anyHost && !isOurHost(request, ownHost)) {
      throw new AppError('kernel.misdirected', {
        detail: 'The Host header names another server. Use GATEHOUSE_PUBLIC_URL.',
      });
    }
  });
  app.addHook('onResponse', async (request, reply) => {
    metrics.observeRequest(
      request.method,
      request.routeOptions.url ?? 'none',
      reply.statusCode,
      reply.elapsedTime / 1000,
    );
    request.log.debug(
      {
        request_id: request.id,
        method: request.method,
        route: request.routeOptions.url,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
      },
      'request',
    );
  });
  app.addHook('onRoute', checkAndDescribe);
  app.addHook('preClose', createDrain(app.server));
  installAuth(app);
  return app;
}

/** Refuses request schemas that let unknown members through, and declares the problem answers every route can give. */
function checkAndDescribe(route: RouteOptions): void {
  const schema = route.schema as Record<string, unknown> | undefined;
  if (!schema || schema['hide'] === true) return;
  for (const part of ['body', 'querystring', 'params'] as const) {
    const object = schema[part] as { type?: string; additionalProperties?: unknown } | undefined;
    if (object?.type === 'object' && object.additionalProperties !== false) {
      throw new Error(`${String(route.method)} ${route.url}: the ${part} schema must be a strictObject`);
    }
  }
  const problem = { description: 'Problem', content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } } };
  schema['response'] = { ...(schema['response'] as object | undefined), '4xx': problem, '5xx': problem };
}
