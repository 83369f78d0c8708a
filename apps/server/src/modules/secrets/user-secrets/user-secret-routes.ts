import { PageQuery, pageOf, strictObject, Timestamp } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { type App, AppError, type Db, decodeCursor, pageFrom } from '../../../kernel/index.ts';
import { maxDestroyDelaySeconds, type UserSecret } from './user-secret.ts';
import type { UserSecrets } from './user-secret-service.ts';
import { findSecret, listSecrets } from './user-secret-store.ts';

const Secret = strictObject({
  id: Type.String(),
  issuer: Type.String(),
  subject: Type.String(),
  status: Type.Union([Type.Literal('active'), Type.Literal('scheduled'), Type.Literal('destroyed')]),
  created_at: Timestamp,
  destroy_at: Type.Optional(Timestamp),
  destroyed_at: Type.Optional(Timestamp),
});
const IdParams = strictObject({ id: Type.String({ pattern: '^sec_[0-9a-z]{26}$' }) });

/** `/v1/secrets`: what there is and its end; a value is never shown here, only released to a service by token exchange. */
export function userSecretRoutes({ db, userSecrets }: { db: Db; userSecrets: UserSecrets }) {
  return (app: App): void => {
    app.get(
      '/v1/secrets',
      {
        config: { auth: { permission: 'secrets:read' } },
        schema: {
          summary: 'List user secrets (never their values)',
          tags: ['secrets'],
          operationId: 'listSecrets',
          querystring: strictObject({
            ...PageQuery.properties,
            subject: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: 'the uid of a user' })),
          }),
          response: { 200: pageOf(Secret) },
        },
      },
      async (request) => {
        const { limit = 50, cursor, subject } = request.query;
        const [afterId] = decodeCursor(cursor, 1) ?? [];
        const { organization } = request.principal;
        const rows = await db.read((tx) =>
          listSecrets(tx, organization, { limit: limit + 1, afterId: afterId?.toString(), subject }),
        );
        return pageFrom(rows, limit, (row) => [row.id], toAnswer);
      },
    );
    app.get(
      '/v1/secrets/:id',
      {
        config: { auth: { permission: 'secrets:read' } },
        schema: {
          summary: 'Show a user secret (never its value)',
          tags: ['secrets'],
          operationId: 'getSecret',
          params: IdParams,
          response: { 200: Secret },
        },
      },
      async (request) => {
        const secret = await db.read((tx) => findSecret(tx, request.principal.organization, request.params.id));
        if (!secret)
          throw new AppError('kernel.not_found', { detail: 'There is no such secret in this organization.' });
        return toAnswer(secret);
      },
    );
    app.post(
      '/v1/secrets/:id/destroy',
      {
        config: { auth: { permission: 'secrets:destroy' } },
        schema: {
          summary: 'Destroy a user secret after a delay',
          description:
            'From now on the secret is not released. Until the delay is over it can be restored; then what was encrypted under it is unreadable for good.',
          tags: ['secrets'],
          operationId: 'destroySecret',
          params: IdParams,
          body: strictObject({
            delay_seconds: Type.Optional(
              Type.Integer({
                minimum: 0,
                maximum: maxDestroyDelaySeconds,
                description: '7 days if absent; 0 is final at once',
              }),
            ),
            reason: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
          }),
          response: { 200: Secret },
        },
      },
      async (request) => {
        const { delay_seconds: delaySeconds, reason } = request.body;
        const { organization } = request.principal;
        const input = { organization, id: request.params.id, delaySeconds, reason };
        return toAnswer(await db.transaction((tx) => userSecrets.destroySecret(tx, input, request.origin)));
      },
    );
    app.post(
      '/v1/secrets/:id/restore',
      {
        config: { auth: { permission: 'secrets:destroy' } },
        schema: {
          summary: 'Take a scheduled destruction back',
          tags: ['secrets'],
          operationId: 'restoreSecret',
          params: IdParams,
          response: { 200: Secret },
        },
      },
      async (request) => {
        const { organization } = request.principal;
        return toAnswer(
          await db.transaction((tx) => userSecrets.restoreSecret(tx, organization, request.params.id, request.origin)),
        );
      },
    );
  };
}

function toAnswer(secret: UserSecret) {
  return {
    id: secret.id,
    issuer: secret.issuer,
    subject: secret.subject,
    status: secret.status,
    created_at: secret.createdAt.toISOString(),
    ...(secret.destroyAt === undefined ? {} : { destroy_at: secret.destroyAt.toISOString() }),
    ...(secret.destroyedAt === undefined ? {} : { destroyed_at: secret.destroyedAt.toISOString() }),
  };
}
