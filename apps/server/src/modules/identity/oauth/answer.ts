import type { FastifyReply, FastifyRequest } from 'fastify';
import { isAppError } from '../../../kernel/index.ts';
import { OAuthError } from './oauth-error.ts';

/** Answers an OAuth endpoint's error in the protocol's form (RFC 6749 §5.2). Causes never leave. */
export function answerOAuthError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = error instanceof OAuthError ? error : fromOther(error);
  if (known.status >= 500) {
    request.log.error({ err: error, request_id: request.id }, 'an OAuth request failed');
  }
  return reply
    .code(known.status)
    .headers({ 'cache-control': 'no-store', ...known.headers })
    .header('content-type', 'application/json; charset=utf-8')
    .serializer((value: unknown) => JSON.stringify(value))
    .send({ error: known.error, error_description: known.message });
}

function fromOther(error: unknown): OAuthError {
  if (isAppError(error)) {
    if (error.status === 503) {
      return new OAuthError('temporarily_unavailable', 'try again', { status: 503, headers: error.headers });
    }
    if (error.status < 500) {
      return new OAuthError('invalid_request', error.message, { status: error.status, headers: error.headers });
    }
    return serverError();
  }
  const { statusCode } = error as { statusCode?: unknown };
  if (statusCode === 413) return new OAuthError('invalid_request', 'the body is too large', { status: 413 });
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return new OAuthError('invalid_request', 'the request is not valid', { status: statusCode });
  }
  return serverError();
}

function serverError(): OAuthError {
  return new OAuthError('server_error', 'something went wrong on our side', { status: 500 });
}
