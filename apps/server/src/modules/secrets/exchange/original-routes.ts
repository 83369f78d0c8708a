import { strictObject } from '@gatehouse/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { type App, isAppError } from '../../../kernel/index.ts';
import type { ExchangeOriginal } from './original-exchange.ts';
import { readOriginalForm } from './original-form.ts';
import { ExchangeRefused } from './refusal.ts';
import type { SubjectTokens } from './subject-tokens.ts';

const Texts = Type.Union([
  Type.String({ maxLength: 65_536 }),
  Type.Array(Type.String({ maxLength: 2048 }), { maxItems: 20 }),
]);
const Form = strictObject({
  grant_type: Type.Optional(Texts),
  subject_token: Type.Optional(Texts),
  subject_token_type: Type.Optional(Texts),
  actor_token: Type.Optional(Texts),
  actor_token_type: Type.Optional(Texts),
  requested_token_type: Type.Optional(Texts),
  audience: Type.Optional(Texts),
  resource: Type.Optional(Texts),
  scope: Type.Optional(Texts),
});
const Answer = strictObject({
  access_token: Type.String(),
  issued_token_type: Type.String(),
  token_type: Type.Literal('Bearer'),
  expires_in: Type.Integer(),
  scope: Type.String(),
  refresh_token: Type.Null(),
});
/** The original serialised a multi-value map: every value is a list. */
const OriginalError = strictObject({ error: Type.Array(Type.String()), error_description: Type.Array(Type.String()) });

/** The endpoints of adorsys STS: `/secret-server/token-exchange` (with the `secret` claim) and `/token/token-exchange`. */
export function originalExchangeRoutes(deps: { exchangeOriginal: ExchangeOriginal; subjectTokens: SubjectTokens }) {
  return (app: App): void => {
    for (const [url, secrets] of [
      ['/secret-server/token-exchange', true],
      ['/token/token-exchange', false],
    ] as const) {
      app.post(
        url,
        {
          config: {
            auth: { public: 'the handler checks the bearer token of any trusted issuer, as the original did' },
          },
          schema: {
            summary: secrets
              ? 'Exchange a token for one with the sealed user secret (original STS)'
              : 'Exchange a token (original STS)',
            tags: ['secrets'],
            operationId: secrets ? 'originalSecretExchange' : 'originalTokenExchange',
            consumes: ['application/x-www-form-urlencoded'],
            body: Form,
            response: { 200: Answer, 400: OriginalError, 403: Type.String(), 503: OriginalError },
          },
        },
        async (request, reply) => {
          try {
            const form = readOriginalForm(request.body);
            if (secrets && !(await isBearerAccepted(request, form.subjectToken)))
              return await refuse(reply, 403, 'Invalid token');
            return await deps.exchangeOriginal(form, { secrets, origin: request.origin });
          } catch (error) {
            return answerRefusal(error, reply);
          }
        },
      );
    }
  };

  /** The text after the last space of a case-insensitive "Bearer " header. The usual client sends the subject token itself. */
  async function isBearerAccepted(request: FastifyRequest, subjectToken: string): Promise<boolean> {
    const header = request.headers.authorization ?? '';
    if (!/^bearer /i.test(header)) return false;
    const token = header.slice(header.lastIndexOf(' ') + 1);
    if (token === subjectToken) return true; // verified as the subject token
    try {
      await deps.subjectTokens.verify(token);
      return true;
    } catch (error) {
      if (error instanceof ExchangeRefused) return false;
      throw error;
    }
  }
}

/** Tokens that are not acceptable are 403 with plain text, wrong parameters 400 with lists, as the original's clients expect. */
function answerRefusal(error: unknown, reply: FastifyReply) {
  if (isAppError(error, 'secrets.destroyed')) return refuse(reply, 403, 'The secret of this user is destroyed');
  if (!(error instanceof ExchangeRefused)) throw error;
  if (error.error === 'invalid_grant') return refuse(reply, 403, 'Invalid token');
  const status = error.error === 'temporarily_unavailable' ? 503 : 400;
  const code = error.error === 'temporarily_unavailable' ? error.error : 'invalid_request';
  return reply.code(status).send({ error: [code], error_description: [error.description] });
}

function refuse(reply: FastifyReply, status: 403, text: string) {
  return reply.code(status).type('text/plain; charset=utf-8').serializer(String).send(text);
}
