import { PageQuery, pageOf, strictObject, Timestamp } from '@gatehouse/contracts';
import { type Static, Type } from 'typebox';
import { type App, AppError, type Db, decodeCursor, pageFrom } from '../../../kernel/index.ts';
import { wireTime } from '../deps.ts';
import type { Role } from './role.ts';
import { splitRoleName } from './role-rules.ts';
import type { Roles } from './role-service.ts';
import { findRole, listRoles } from './role-store.ts';

/** The full name of a role. */
export const RoleName = Type.String({
  pattern: '^[a-z0-9][a-z0-9_-]{0,62}(:[a-z0-9][a-z0-9_-]{0,62})?$',
  maxLength: 127,
  description: 'a role of the organization, or `<service>:<role>`',
});

const PermissionList = Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 });
const RoleBody = strictObject({
  name: Type.String(),
  service: Type.Optional(Type.String()),
  permissions: Type.Array(Type.String()),
  built_in: Type.Boolean(),
  created_at: Timestamp,
  created_by: Type.String(),
});
const params = strictObject({ role: RoleName });

/** `/v1/roles`: the roles of the caller's organization. */
export function roleRoutes({ db, roles }: { db: Db; roles: Roles }) {
  return (app: App): void => {
    app.get(
      '/v1/roles',
      {
        config: { auth: { permission: 'roles:read' } },
        schema: {
          summary: 'List roles',
          tags: ['roles'],
          operationId: 'listRoles',
          querystring: PageQuery,
          response: { 200: pageOf(RoleBody) },
        },
      },
      async (request) => {
        const { limit = 50, cursor } = request.query;
        const after = decodeCursor(cursor, 1)?.map(String)[0];
        const rows = await db.read((tx) => listRoles(tx, request.principal.organization, after, limit + 1));
        return pageFrom(rows, limit, (role) => [role.id], toWire);
      },
    );
    app.post(
      '/v1/roles',
      {
        config: { auth: { permission: 'roles:write' } },
        schema: {
          summary: 'Create a role',
          tags: ['roles'],
          operationId: 'createRole',
          body: strictObject({ name: RoleName, permissions: Type.Optional(PermissionList) }),
          response: { 201: RoleBody },
        },
      },
      async (request, reply) => {
        const { principal, origin, body } = request;
        const role = await db.transaction((tx) =>
          roles.createRole(tx, {
            organization: principal.organization,
            ...splitRoleName(body.name),
            permissions: body.permissions ?? [],
            granter: principal,
            origin,
          }),
        );
        return reply.code(201).send(toWire(role));
      },
    );
    app.get(
      '/v1/roles/:role',
      {
        config: { auth: { permission: 'roles:read' } },
        schema: {
          summary: 'Read a role',
          tags: ['roles'],
          operationId: 'getRole',
          params,
          response: { 200: RoleBody },
        },
      },
      async (request) => {
        const { service, name } = splitRoleName(request.params.role);
        const role = await db.read((tx) => findRole(tx, request.principal.organization, service, name));
        if (!role) throw new AppError('kernel.not_found', { detail: 'There is no role of this name.' });
        return toWire(role);
      },
    );
    app.patch(
      '/v1/roles/:role',
      {
        config: { auth: { permission: 'roles:write' } },
        schema: {
          summary: 'Change what a role may do',
          tags: ['roles'],
          operationId: 'updateRole',
          params,
          body: strictObject({ permissions: PermissionList }),
          response: { 200: RoleBody },
        },
      },
      async (request) => {
        const { principal, origin } = request;
        const role = await db.transaction((tx) =>
          roles.updateRole(tx, {
            organization: principal.organization,
            ...splitRoleName(request.params.role),
            permissions: request.body.permissions,
            granter: principal,
            origin,
          }),
        );
        return toWire(role);
      },
    );
    app.delete(
      '/v1/roles/:role',
      {
        config: { auth: { permission: 'roles:write' } },
        schema: {
          summary: 'Delete a role nobody holds',
          tags: ['roles'],
          operationId: 'deleteRole',
          params,
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        const { principal, origin } = request;
        await db.transaction((tx) =>
          roles.deleteRole(tx, {
            organization: principal.organization,
            ...splitRoleName(request.params.role),
            granter: principal,
            origin,
          }),
        );
        return reply.code(204).send(null);
      },
    );
  };
}

function toWire(role: Role): Static<typeof RoleBody> {
  return {
    name: role.name,
    ...(role.service === undefined ? {} : { service: role.service }),
    permissions: [...role.permissions],
    built_in: role.builtIn,
    created_at: wireTime(role.createdAt),
    created_by: role.createdBy,
  };
}
