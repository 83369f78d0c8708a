import type { FastifyReply, FastifyRequest } from 'fastify';
import { isAppError } from '../../../kernel/index.ts';
import { html } from './html.ts';
import { alertBox, sendPage } from './layout.ts';

/**
 * The error handler of routes that people see: a page instead of JSON. It says what can be done and repeats nothing of
 * the request; the reference is our own id of it, which the log has too.
 */
export function sendProblemPage(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const status = statusOf(error);
  if (status >= 500) request.log.error({ err: error, request_id: request.id }, 'a page could not be shown');
  if (isAppError(error)) reply.headers(error.headers);
  return sendPage(reply, {
    title: 'This did not work',
    status,
    problem: true,
    body: html`${alertBox(textOf(status))}
<p class="note">If it happens again, tell your administrator the reference <code>${request.id}</code>.</p>`,
  });
}

function statusOf(error: unknown): number {
  if (isAppError(error)) return error.status;
  const { statusCode } = error as { statusCode?: unknown };
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? statusCode : 500;
}

function textOf(status: number): string {
  if (status === 503) return 'The service is busy at the moment. Try again shortly.';
  if (status >= 500) return 'Something went wrong on our side.';
  return 'The form could not be read. Go back, reload the page and try again.';
}
