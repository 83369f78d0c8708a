import { Name, pageOf, strictObject, Timestamp } from '@gatehouse/contracts';
import { Type } from 'typebox';
import {
  type App,
  AppError,
  type Clock,
  type Db,
  decodeCursor,
  type Principal,
  pageFrom,
} from '../../../kernel/index.ts';
import { wireTime } from '../deps.ts';
import type { SessionEnding } from './session-ending.ts';
import type { SessionService } from './session-service.ts';
import { findSession, listSessions, type SessionRow } from './session-store.ts';

const tags = ['sessions'];
const publicAuth = { auth: { public: 'whoever signs in has no token yet' } } as const;

const SignInBody = strictObject({
  username: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  password: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
  credentials: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 16_384,
      description: 'compact JWE to a /pop key over {"username": "…", "password": "…"}',
    }),
  ),
  organization: Type.Optional(Name),
  audience: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
      minItems: 1,
      maxItems: 50,
      description:
        'exactly whom the tokens are for; if absent, Gatehouse’s own API and all services of the organization',
    }),
  ),
});
const RefreshToken = Type.String({ minLength: 1, maxLength: 256 });
const RefreshBody = strictObject({
  refresh_token: RefreshToken,
  audience: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
      minItems: 1,
      maxItems: 50,
      description: 'some of the session’s audiences, for this access token only',
    }),
  ),
});
const Tokens = strictObject({
  access_token: Type.String(),
  refresh_token: Type.String(),
  token_type: Type.Literal('Bearer'),
  expires_in: Type.Integer({ description: 'seconds' }),
  scope: Type.String(),
});
const Session = strictObject({
  id: Type.String(),
  kind: Type.Union([Type.Literal('headless'), Type.Literal('oauth')]),
  user: Type.String(),
  organization: Name,
  client_id: Type.String(),
  current: Type.Boolean({ description: 'the session of the token that asks' }),
  address: Type.Optional(Type.String()),
  user_agent: Type.Optional(Type.String()),
  authenticated_at: Timestamp,
  created_at: Timestamp,
  last_used_at: Timestamp,
  expires_at: Timestamp,
});
const ListQuery = strictObject({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 512 })),
  user: Type.Optional(
    Type.String({ minLength: 1, maxLength: 128, description: 'of this user instead of the own ones' }),
  ),
});
const SessionId = strictObject({ id: Type.String({ pattern: '^ses_[0-9a-z]{26}$' }) });

/** `/v1/sessions`: headless sign-in, refresh, and the sessions a user has. */
export function sessionRoutes(deps: { db: Db; clock: Clock; sessions: SessionService; ending: SessionEnding }) {
  const { db, clock, sessions, ending } = deps;
  return (app: App): void => {
    app.post(
      '/v1/sessions',
      {
        config: publicAuth,
        schema: {
          summary: 'Sign in with user name and password',
          tags,
          operationId: 'createSession',
          body: SignInBody,
          response: { 200: Tokens },
        },
      },
      async (request) => sessions.createSession(request.body, request.origin),
    );
    app.post(
      '/v1/sessions/refresh',
      {
        config: publicAuth,
        schema: {
          summary: 'Exchange a refresh token for new tokens',
          tags,
          operationId: 'refreshSession',
          body: RefreshBody,
          response: { 200: Tokens },
        },
      },
      async ({ body, origin }) => sessions.refreshSession(body.refresh_token, origin, body.audience),
    );
    app.post(
      '/v1/sessions/end',
      {
        config: publicAuth,
        schema: {
          summary: 'Sign out with the refresh token',
          description: 'Answers 204 for every token, as RFC 7009 §2.2 has it.',
          tags,
          operationId: 'endSessionByRefreshToken',
          body: strictObject({ refresh_token: RefreshToken }),
          response: { 204: Type.Null() },
        },
      },
      async ({ body, origin }, reply) => {
        await sessions.endSession(body.refresh_token, origin);
        return reply.code(204).send(null);
      },
    );
    app.get(
      '/v1/sessions',
      {
        config: { auth: { self: true } },
        schema: {
          summary: 'List own sessions, or those of a user',
          tags,
          operationId: 'listSessions',
          querystring: ListQuery,
          response: { 200: pageOf(Session) },
        },
      },
      async ({ principal, query }) => {
        const { limit = 50, cursor, user } = query;
        const own = user === undefined || user === principal.id;
        if (!own) assertMay(principal, 'sessions:read');
        const [beforeId = null] = decodeCursor(cursor, 1) ?? [];
        const rows = await db.read((tx) =>
          listSessions(tx, {
            userId: user ?? principal.id,
            // Of others only what happens in the caller's organization: the rest is none of its business.
            organization: own ? null : principal.organization,
            now: clock.now(),
            beforeId: beforeId === null ? null : String(beforeId),
            limit: limit + 1,
          }),
        );
        return pageFrom(
          rows,
          limit,
          (row) => [row.id],
          (row) => toWire(row, principal),
        );
      },
    );
    app.delete(
      '/v1/sessions/current',
      {
        config: { auth: { self: true } },
        schema: { summary: 'Sign out', tags, operationId: 'deleteCurrentSession', response: { 204: Type.Null() } },
      },
      async ({ principal, origin }, reply) => {
        if (principal.sessionId === undefined) throw noSession();
        const id = principal.sessionId;
        await db.transaction((tx) => ending.endSession(tx, { id, reason: 'signed out', origin }));
        return reply.code(204).send(null);
      },
    );
    app.delete(
      '/v1/sessions/:id',
      {
        config: { auth: { self: true } },
        schema: {
          summary: 'End a session: an own one, or with sessions:revoke one of a user of the organization',
          tags,
          operationId: 'deleteSession',
          params: SessionId,
          response: { 204: Type.Null() },
        },
      },
      async ({ principal, origin, params }, reply) => {
        await db.transaction(async (tx) => {
          const session = await findSession(tx, params.id);
          if (!session || !mayEnd(principal, session)) throw noSession();
          const own = session.user_id === principal.id;
          await ending.endSession(tx, {
            id: session.id,
            reason: own ? 'ended by its user' : 'ended by an administrator',
            origin,
          });
        });
        return reply.code(204).send(null);
      },
    );
  };
}

/** A session that the caller may not end is not there for it. */
function mayEnd(principal: Principal, session: SessionRow): boolean {
  if (session.user_id === principal.id) return true;
  return session.organization === principal.organization && principal.permissions.has('sessions:revoke');
}

function assertMay(principal: Principal, permission: 'sessions:read'): void {
  if (principal.permissions.has(permission)) return;
  throw new AppError('kernel.forbidden', { detail: `This needs the permission ${permission}.` });
}

function noSession(): AppError {
  return new AppError('kernel.not_found', { detail: 'There is no such session.' });
}

function toWire(row: SessionRow, principal: Principal) {
  return {
    id: row.id,
    kind: row.kind,
    user: row.user_id,
    organization: row.organization,
    client_id: row.client_id,
    current: row.id === principal.sessionId,
    ...(row.address === null ? {} : { address: row.address }),
    ...(row.user_agent === null ? {} : { user_agent: row.user_agent }),
    authenticated_at: wireTime(row.authenticated_at),
    created_at: wireTime(row.created_at),
    last_used_at: wireTime(row.last_used_at),
    expires_at: wireTime(row.expires_at < row.absolute_expires_at ? row.expires_at : row.absolute_expires_at),
  };
}
