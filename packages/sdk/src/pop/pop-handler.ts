/** `GET /pop` and `GET /pop/{kid}.pem` for plain `node:http` (and Express, Connect: call it with `next`). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Pop } from './pop.ts';

/** Answers requests for this service's public keys. Other paths go to `next`, or are 404. */
export type PopHandler = (request: IncomingMessage, response: ServerResponse, next?: () => void) => void;

/** What one of the two routes answers, whatever serves it. */
export interface PopAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/**
 * Makes the request handler.
 *
 * @example createServer(createPopHandler(pop)).listen(9000);
 */
export function createPopHandler(pop: Pop, options: { path?: string } = {}): PopHandler {
  const path = options.path ?? '/pop';
  return (request, response, next) => {
    const target = (request.url ?? '').split('?', 1)[0] ?? '';
    const isOurs = target === path || target.startsWith(`${path}/`);
    if (!isOurs && next !== undefined) {
      next();
      return;
    }
    const answer = isOurs ? answerFor(request.method ?? 'GET') : problem(404, 'Not found', 'There is nothing here.');
    response.writeHead(answer.status, { ...answer.headers, 'content-length': String(Buffer.byteLength(answer.body)) });
    response.end(request.method === 'HEAD' ? undefined : answer.body);

    function answerFor(method: string): PopAnswer {
      if (method !== 'GET' && method !== 'HEAD') {
        const refused = problem(405, 'Method not allowed', 'Public keys are read with GET.');
        return { ...refused, headers: { ...refused.headers, allow: 'GET, HEAD' } };
      }
      return target === path
        ? answerKeys(pop, request.headers['if-none-match'])
        : answerPem(pop, target.slice(path.length + 1));
    }
  };
}

/** The key set, or 304 when the caller has it (RFC 9110 §13.1.2: weak comparison). */
export function answerKeys(pop: Pop, ifNoneMatch: string | undefined): PopAnswer {
  const { body, etag, maxAgeSeconds } = pop.jwks();
  const headers = { etag, 'cache-control': `public, max-age=${maxAgeSeconds}`, 'x-content-type-options': 'nosniff' };
  const known = (ifNoneMatch ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (known.includes(etag) || known.includes('*')) return { status: 304, headers, body: '' };
  return {
    status: 200,
    headers: { ...headers, 'content-type': 'application/jwk-set+json' },
    body: JSON.stringify(body),
  };
}

/** One key as `<kid>.pem`. */
export function answerPem(pop: Pop, file: string): PopAnswer {
  const kid = /^([\w-]{1,128})\.pem$/.exec(file)?.[1];
  const pem = kid === undefined ? undefined : pop.pem(kid);
  if (pem === undefined)
    return problem(404, 'Not found', 'No published key has this id. The address is /pop/{kid}.pem.');
  return {
    status: 200,
    headers: {
      'content-type': 'application/x-pem-file',
      'cache-control': `public, max-age=${pop.jwks().maxAgeSeconds}`,
      'x-content-type-options': 'nosniff',
    },
    body: pem,
  };
}

/** A problem document (RFC 9457). */
export function problem(status: number, title: string, detail: string, code?: string): PopAnswer {
  return {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
    body: JSON.stringify({ type: 'about:blank', title, status, detail, ...(code === undefined ? {} : { code }) }),
  };
}
