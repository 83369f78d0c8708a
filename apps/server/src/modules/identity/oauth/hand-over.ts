import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Ticket } from './client-authentication/ticket.ts';
import { type CookieRules, openCookies, sealCookies } from './cookies.ts';
import { runWithContext } from './request-context.ts';

/** Where the endpoints of oidc-provider are mounted. */
export const mountPath = '/oauth';

/** Gives a request to oidc-provider, with what our front has found out about it. */
export type HandOver = (
  request: FastifyRequest,
  reply: FastifyReply,
  options?: { ticket?: Ticket; form?: URLSearchParams },
) => FastifyReply;

/**
 * Creates the passage to oidc-provider. It sees the request below its mount path, under our public address whatever
 * the Host header says, and answers on the raw response.
 */
export function createHandOver(deps: {
  issuer: string;
  cookies: CookieRules;
  /** The callback of the provider of this moment: it is another one after each key rotation. */
  callback: () => (request: IncomingMessage, response: FastifyReply['raw']) => unknown;
}): HandOver {
  const { protocol, host } = new URL(deps.issuer);
  return (request, reply, { ticket, form } = {}) => {
    const callback = deps.callback(); // before the answer is taken over: without a signing key there is none
    const raw: IncomingMessage & { originalUrl?: string } = request.raw;
    raw.originalUrl = raw.url ?? '';
    raw.url = raw.originalUrl.slice(mountPath.length);
    raw.headers.host = host;
    raw.headers['x-forwarded-proto'] = protocol.slice(0, -1);
    for (const header of ['x-forwarded-host', 'x-forwarded-for']) delete raw.headers[header];
    openCookies(raw, deps.cookies);
    const body = form === undefined ? (request.body as Buffer | undefined) : Buffer.from(form.toString());
    if (form) {
      delete raw.headers.authorization;
      raw.headers['content-type'] = 'application/x-www-form-urlencoded';
    }
    replayBody(raw, body ?? Buffer.alloc(0));
    sealCookies(reply.raw, deps.cookies);
    reply.hijack();
    runWithContext({ origin: request.origin, ...(ticket === undefined ? {} : { ticket }) }, () =>
      callback(raw, reply.raw),
    );
    return reply;
  };
}

/** The body was read by Fastify (bounded, once); oidc-provider reads it again from the request, as it expects to. */
function replayBody(raw: IncomingMessage, body: Buffer): void {
  raw.headers['content-length'] = String(body.length);
  delete raw.headers['transfer-encoding'];
  Object.defineProperty(raw, 'readable', { value: true, configurable: true });
  Object.defineProperty(raw, 'iterator', {
    configurable: true,
    value: async function* replay() {
      if (body.length > 0) yield body;
    },
  });
}
