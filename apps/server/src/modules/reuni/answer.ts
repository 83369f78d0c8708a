import { type ErrorCode, errorTable } from '@gatehouse/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError, isAppError, knownError } from '../../kernel/index.ts';

/** What a route of the original answers: a line of text, or JSON. */
export type Answer =
  | { readonly status: 200 | 201; readonly text: string }
  | { readonly status: 200 | 201 | 400; readonly json: unknown };

/** The text the original answers when something was made. */
export const created: Answer = { status: 201, text: '201 Created' };
/** The text the original answers when something was changed or is gone. */
export const done: Answer = { status: 200, text: '200 OK' };

/** Sends an answer as the original does: text as text, everything else as JSON (`null` and `[]` included). */
export function send(reply: FastifyReply, answer: Answer): FastifyReply {
  return 'text' in answer
    ? reply.code(answer.status).type('text/plain; charset=utf-8').send(answer.text)
    : reply.code(answer.status).type('application/json; charset=utf-8').send(JSON.stringify(answer.json));
}

/**
 * The original's form of an error, `{"message", "status"}` with a line break, as text. Where it sent nothing, an empty
 * body or its 500 page, its clients stumbled: here every error has this form.
 */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const known = knownError(error, request);
  if (reply.sent) return;
  void reply
    .code(known.status)
    .headers(known.headers)
    .type('text/plain; charset=utf-8')
    .send(`${JSON.stringify({ message: messageOf(known), status: known.status })}\n`);
}

/** Messages the original's clients know, then what the error says. */
function messageOf(error: AppError): string {
  if (error.code === 'kernel.forbidden') return 'Forbidden';
  if (error.code === 'identity.invalid_credentials') return 'Wrong username/password';
  const title: string = errorTable[error.code].title;
  const [first] = error.errors ?? [];
  const detail = error.detail ?? title;
  return first?.fix === undefined || detail.includes(first.fix) ? detail : `${detail}: ${first.fix}`;
}

/** The original's own words for an error that its clients show. */
export async function inWords<T>(codes: readonly ErrorCode[], message: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isAppError(error) || !codes.includes(error.code)) throw error;
    throw new AppError(error.code, { detail: message });
  }
}
