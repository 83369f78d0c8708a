/** Errors as problem documents (RFC 9457). */
import { isGatehouseError } from '@gatehouse/sdk';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';

/** An error that a caller may see. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** What the caller is told about any error; what is not known is 500 and goes to the log. */
export function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error);
  if (problem.status >= 500) request.log.error({ err: error }, problem.message);
  if (problem.status === 503) reply.header('retry-after', '5');
  if (problem.status === 413) reply.header('connection', 'close');
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .send({ type: 'about:blank', status: problem.status, code: problem.code, detail: problem.message });
}

function problemOf(error: FastifyError): Problem {
  if (error instanceof Problem) return error;
  if (isGatehouseError(error)) {
    switch (error.code) {
      case 'secret_refused':
        return new Problem(403, error.code, 'Your secret is not released, so your files cannot be opened or stored.');
      case 'data_cannot_open':
        return new Problem(410, error.code, 'This file can no longer be opened.');
      case 'server_unavailable':
      case 'keys_unavailable':
      case 'pop_store_unavailable':
        return new Problem(503, error.code, 'The service cannot work just now. Try again later.');
      case 'service_refused':
        return new Problem(502, error.code, 'This service is not set up correctly at the Gatehouse server.');
      default:
        return new Problem(500, 'internal', 'Something went wrong.');
    }
  }
  const status = error.statusCode ?? 500;
  return status < 500
    ? new Problem(status, error.code, error.message)
    : new Problem(500, 'internal', 'Something went wrong.');
}
