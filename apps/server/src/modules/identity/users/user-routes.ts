import { PageQuery, pageOf, strictObject } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { type App, AppError, type Db, decodeCursor, pageFrom, type Reader } from '../../../kernel/index.ts';
import type { Passwords } from '../passwords/passwords.ts';
import { RoleName } from '../roles/role-routes.ts';
import type { Roles } from '../roles/role-service.ts';
import type { Membership, User } from './user.ts';
import { usernameKey } from './user-rules.ts';
import type { Users } from './user-service.ts';
import { listUsers } from './user-store.ts';
import { PasswordText, Status, Uid, UserBody, Username, userToWire } from './user-wire.ts';

const params = strictObject({ uid: Uid });
const tags = ['users'];
const RoleNames = Type.Array(RoleName, { maxItems: 64, uniqueItems: true });

/** `/v1/users`: the members of the caller's organization. */
export function userRoutes({
  db,
  users,
  roles,
  passwords,
}: {
  db: Db;
  users: Users;
  roles: Roles;
  passwords: Passwords;
}) {
  const shape = async (tx: Reader, user: User, membership: Pick<Membership, 'organization' | 'role_ids'>) =>
    userToWire(user, await roles.resolve(tx, membership.organization, membership.role_ids));
  const read = (organization: string, uid: string) =>
    db.read(async (tx) => {
      const { user, membership } = await users.getMember(tx, organization, uid);
      return shape(tx, user, membership);
    });

  return (app: App): void => {
    app.post(
      '/v1/users',
      {
        config: { auth: { permission: 'users:write' } },
        schema: {
          summary: 'Create a user',
          tags,
          operationId: 'createUser',
          body: strictObject({
            username: Username,
            uid: Type.Optional(Uid),
            password: Type.Optional(PasswordText),
            password_hash: Type.Optional(
              Type.String({
                maxLength: 512,
                description: 'instead of a password: argon2, bcrypt, scrypt or PBKDF2, upgraded at the next sign-in',
              }),
            ),
            roles: Type.Optional(RoleNames),
          }),
          response: { 201: UserBody },
        },
      },
      async (request, reply) => {
        const { principal, origin, body } = request;
        const { organization } = principal;
        if (body.password !== undefined && body.password_hash !== undefined) {
          throw new AppError('kernel.invalid_request', {
            detail: 'Send password or password_hash, not both.',
            errors: [{ field: 'password_hash', rule: 'is sent beside password', fix: 'leave one of the two out' }],
          });
        }
        const passwordHash =
          body.password === undefined
            ? body.password_hash
            : await passwords.hashNew(body.password, [body.username, organization]);
        const created = await db.transaction((tx) =>
          users.createUser(tx, {
            organization,
            username: body.username,
            uid: body.uid,
            passwordHash,
            roles: body.roles ?? [],
            granter: principal,
            origin,
          }),
        );
        return reply.code(201).send(await read(organization, created.uid));
      },
    );
    app.get(
      '/v1/users',
      {
        config: { auth: { permission: 'users:read' } },
        schema: {
          summary: 'List users',
          tags,
          operationId: 'listUsers',
          querystring: strictObject({
            ...PageQuery.properties,
            status: Type.Optional(Status),
            username: Type.Optional(Type.String({ maxLength: 128, description: 'beginning of the user name' })),
          }),
          response: { 200: pageOf(UserBody) },
        },
      },
      async (request) => {
        const { limit = 50, cursor, status, username } = request.query;
        const { organization } = request.principal;
        const afterKey = decodeCursor(cursor, 1)?.map(String)[0];
        const keyPrefix = username === undefined ? '' : usernameKey(username.trim());
        return db.read(async (tx) => {
          if (username !== undefined && keyPrefix === '') return { items: [] };
          const rows = await listUsers(tx, { organization, status, keyPrefix, afterKey, limit: limit + 1 });
          const shaped = [];
          for (const row of rows) {
            shaped.push({ row, wire: await shape(tx, row, { organization, role_ids: row.role_ids }) });
          }
          return pageFrom(
            shaped,
            limit,
            ({ row }) => [usernameKey(row.username)],
            ({ wire }) => wire,
          );
        });
      },
    );
    app.get(
      '/v1/users/:uid',
      {
        config: { auth: { permission: 'users:read' } },
        schema: { summary: 'Read a user', tags, operationId: 'getUser', params, response: { 200: UserBody } },
      },
      async (request) => read(request.principal.organization, request.params.uid),
    );
    app.patch(
      '/v1/users/:uid',
      {
        config: { auth: { permission: 'users:write' } },
        schema: {
          summary: 'Change the user name or the roles',
          tags,
          operationId: 'updateUser',
          params,
          body: strictObject(
            { username: Type.Optional(Username), roles: Type.Optional(RoleNames) },
            { minProperties: 1 },
          ),
          response: { 200: UserBody },
        },
      },
      async (request) => {
        const { principal, origin, body } = request;
        const change = { organization: principal.organization, uid: request.params.uid, granter: principal, origin };
        await db.transaction(async (tx) => {
          if (body.username !== undefined) await users.renameUser(tx, { ...change, username: body.username });
          if (body.roles !== undefined) await users.setRoles(tx, { ...change, roles: body.roles });
        });
        return read(change.organization, change.uid);
      },
    );
    for (const [verb, summary] of [
      ['suspend', 'Suspend a user: ends every session, refresh token and grant'],
      ['archive', 'Archive a user: as suspended, and out of the way; the uid is never used again'],
      ['restore', 'Restore a suspended or archived user'],
    ] as const) {
      app.post(
        `/v1/users/:uid/${verb}`,
        {
          config: { auth: { permission: 'users:write' } },
          schema: { summary, tags, operationId: `${verb}User`, params, response: { 200: UserBody } },
        },
        async (request) => {
          const { principal, origin } = request;
          const change = { organization: principal.organization, uid: request.params.uid, granter: principal, origin };
          await db.transaction((tx) => {
            if (verb === 'suspend') return users.suspendUser(tx, change);
            return verb === 'archive' ? users.archiveUser(tx, change) : users.restoreUser(tx, change);
          });
          return read(change.organization, change.uid);
        },
      );
    }
    app.post(
      '/v1/users/:uid/password',
      {
        config: { auth: { permission: 'users:write' } },
        schema: {
          summary: 'Set a user’s password: ends every session',
          tags,
          operationId: 'setUserPassword',
          params,
          body: strictObject({ password: PasswordText }),
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        const { principal, origin } = request;
        const change = { organization: principal.organization, uid: request.params.uid, granter: principal, origin };
        const { user } = await db.read((tx) => users.getMember(tx, change.organization, change.uid));
        const context = [user.username, user.organization];
        const passwordHash = await passwords.hashNew(request.body.password, context);
        await db.transaction((tx) => users.setPassword(tx, { ...change, passwordHash }));
        return reply.code(204).send(null);
      },
    );
  };
}
