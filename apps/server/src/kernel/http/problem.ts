import { errorTable } from '@gatehouse/contracts';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, type FieldError } from '../errors.ts';

/** The one error handler: RFC 9457 problem JSON. Causes, SQL and values never leave; unknown errors are logged and become 500. */
export function handleError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const known = knownError(error, request);
  if (reply.sent) return;
  void reply
    .code(known.status)
    .headers(known.headers)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .serializer((value: unknown) => JSON.stringify(value))
    .send(problemOf(known, request.id));
}

/** What an error is to a caller, whatever was thrown; a failure of ours is logged. For writers of other forms, too. */
export function knownError(error: unknown, request: FastifyRequest): AppError {
  const known = error instanceof AppError ? error : fromFastify(error as FastifyError);
  if (known.status >= 500) {
    const level = known.code === 'internal' ? 'error' : 'warn';
    request.log[level]({ err: known.cause ?? known, code: known.code, request_id: request.id }, 'request failed');
  }
  return known;
}

/** The problem document of an error. */
export function problemOf(error: AppError, requestId: string): Record<string, unknown> {
  return {
    ...error.extensions,
    type: `urn:gatehouse:error:${error.code}`,
    title: titleOf(error),
    status: error.status,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    code: error.code,
    request_id: requestId,
    ...(error.errors === undefined ? {} : { errors: error.errors }),
  };
}

function titleOf(error: AppError): string {
  return errorTable[error.code].title;
}

function fromFastify(error: FastifyError): AppError {
  if (error.validation) return fromValidation(error);
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new AppError('kernel.too_large', { detail: 'The body is larger than this route accepts.' });
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new AppError('kernel.unsupported_media_type', {
        detail: 'Send the body as application/json.',
      });
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return new AppError('kernel.invalid_request', { detail: 'The body is empty; send a JSON object.' });
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new AppError('kernel.invalid_request', { detail: 'The body does not have the length its header says.' });
    default:
  }
  if (isDatabaseAway(error)) {
    return new AppError('kernel.unavailable', {
      detail: 'The database cannot be reached. Nothing was changed; try again.',
      headers: { 'retry-after': '1' },
      cause: error,
    });
  }
  if (isUnstorableText(error)) {
    return new AppError('kernel.invalid_request', {
      detail: 'A text holds the character U+0000, which is not accepted anywhere.',
    });
  }
  if (typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500) {
    return new AppError('kernel.invalid_request', { cause: error });
  }
  return new AppError('internal', { cause: error });
}

/** PostgreSQL's text and jsonb take every character but U+0000 (22021, 22P05): it came in with the request. */
function isUnstorableText(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === '22021' || code === '22P05';
}

/** PostgreSQL refused, ended or lost the connection (class 08, 53300, 57P01-03), or no connection came in time. */
function isDatabaseAway(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (
    typeof code === 'string' &&
    /^(08...|53300|57P0[1-3]|ECONNREFUSED|ECONNRESET|ENOENT|EPIPE|ETIMEDOUT)$/.test(code)
  ) {
    return true;
  }
  return (
    typeof message === 'string' &&
    /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
      message,
    )
  );
}

function fromValidation(error: FastifyError): AppError {
  const where = error.validationContext ?? 'body';
  const errors = (error.validation ?? []).slice(0, 20).map((one): FieldError => {
    const path = one.instancePath.split('/').filter(Boolean).join('.');
    const params = one.params as { additionalProperty?: string; missingProperty?: string; allowedValues?: unknown[] };
    const member = params.additionalProperty ?? params.missingProperty;
    const field = [where === 'body' ? '' : where, path, member ?? ''].filter(Boolean).join('.') || where;
    if (params.additionalProperty !== undefined) {
      return { field, rule: 'is not known here', fix: 'remove it or correct its spelling' };
    }
    if (params.missingProperty !== undefined) return { field, rule: 'is missing', fix: 'add it' };
    if (Array.isArray(params.allowedValues)) {
      return { field, rule: `must be one of ${params.allowedValues.map(String).join(', ')}` };
    }
    return { field, rule: one.message ?? 'is not valid' };
  });
  const first = errors[0];
  return new AppError('kernel.invalid_request', {
    detail: first ? `${first.field} ${first.rule}` : 'The request does not fit its schema.',
    errors,
  });
}
