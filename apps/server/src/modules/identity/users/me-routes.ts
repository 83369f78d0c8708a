import { Name, strictObject } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { type App, AppError, type Db } from '../../../kernel/index.ts';
import type { Credentials } from '../passwords/credentials.ts';
import type { Passwords } from '../passwords/passwords.ts';
import type { Users } from './user-service.ts';
import { PasswordText, UserBody, userToWire } from './user-wire.ts';

const MeBody = strictObject({
  kind: Type.Union([Type.Literal('user'), Type.Literal('service')]),
  sub: Type.String(),
  organization: Name,
  operator: Type.Boolean(),
  roles: Type.Array(Type.String()),
  permissions: Type.Array(Type.String()),
  user: Type.Optional(UserBody),
});

/** `/v1/me`: what everybody may know and change about themselves. */
export function meRoutes(deps: {
  db: Db;
  users: Users;
  passwords: Passwords;
  credentials: Pick<Credentials, 'reauthenticate'>;
}) {
  const { db, users, passwords, credentials } = deps;
  return (app: App): void => {
    app.get(
      '/v1/me',
      {
        config: { auth: { self: true } },
        schema: {
          summary: 'Who am I, and what may I do?',
          tags: ['me'],
          operationId: 'getMe',
          response: { 200: MeBody },
        },
      },
      async ({ principal }) => {
        const user = principal.kind === 'user' ? await db.read((tx) => users.findUser(tx, principal.id)) : undefined;
        return {
          kind: principal.kind,
          sub: principal.id,
          organization: principal.organization,
          operator: principal.operator,
          roles: [...principal.roles],
          permissions: [...principal.permissions].sort(),
          ...(user ? { user: userToWire(user, { names: principal.roles }) } : {}),
        };
      },
    );
    app.put(
      '/v1/me/password',
      {
        config: { auth: { self: true } },
        schema: {
          summary: 'Change my password: ends my other sessions',
          tags: ['me'],
          operationId: 'changeMyPassword',
          body: strictObject({ current_password: PasswordText, new_password: PasswordText }),
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        const { principal, origin, body } = request;
        const user = principal.kind === 'user' ? await db.read((tx) => users.findUser(tx, principal.id)) : undefined;
        if (!user) throw new AppError('kernel.forbidden', { detail: 'A service has no password; replace its secret.' });
        const expectedHash = await credentials.reauthenticate({
          uid: user.uid,
          password: body.current_password,
          origin,
        });
        const context = [user.username, user.organization];
        const passwordHash = await passwords.hashNew(body.new_password, context, 'new_password');
        await db.transaction((tx) =>
          users.setPassword(tx, {
            organization: principal.homeOrganization,
            uid: user.uid,
            passwordHash,
            expectedHash,
            granter: 'system',
            origin,
            ...(principal.sessionId === undefined ? {} : { exceptSessionId: principal.sessionId }),
          }),
        );
        return reply.code(204).send(null);
      },
    );
  };
}
