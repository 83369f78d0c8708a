import { PageQuery, pageOf, strictObject, Timestamp } from '@gatehouse/contracts';
import { type Static, Type } from 'typebox';
import { type App, AppError, type Db, decodeCursor, pageFrom, type Reader } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { wireTime } from '../deps.ts';
import type { Throttle } from '../passwords/throttle.ts';
import { RoleName } from '../roles/role-routes.ts';
import type { Roles } from '../roles/role-service.ts';
import type { Users } from '../users/user-service.ts';
import { Status, Uid } from '../users/user-wire.ts';
import type { Members } from './member-service.ts';
import { findMemberRow, listMembers, type MemberRow } from './member-store.ts';

const MemberBody = strictObject({
  uid: Type.String(),
  username: Type.String(),
  status: Status,
  home_organization: Type.String({ description: 'the organization that has the account' }),
  roles: Type.Array(Type.String()),
  created_at: Timestamp,
  created_by: Type.String(),
});
const RoleNames = Type.Array(RoleName, { maxItems: 64, uniqueItems: true });
const params = strictObject({ uid: Uid });
const tags = ['members'];

/** `/v1/members`: who acts in the caller's organization. Accounts of other organizations are named by uid only. */
export function memberRoutes(deps: {
  db: Db;
  members: Members;
  users: Pick<Users, 'setRoles'>;
  roles: Pick<Roles, 'resolve'>;
  audit: Pick<Audit, 'append'>;
  /** Slows down whoever tries uids. */
  throttle: Throttle;
}) {
  const { db, members, users, roles, audit, throttle } = deps;

  const shape = async (tx: Reader, organization: string, row: MemberRow): Promise<Static<typeof MemberBody>> => ({
    uid: row.uid,
    username: row.username,
    status: row.status,
    home_organization: row.home_organization,
    roles: [...(await roles.resolve(tx, organization, row.role_ids)).names],
    created_at: wireTime(row.created_at),
    created_by: row.created_by,
  });
  const read = (organization: string, uid: string) =>
    db.read(async (tx) => {
      const row = await findMemberRow(tx, organization, uid);
      if (!row) throw new AppError('kernel.not_found', { detail: 'There is no member with this uid.' });
      return shape(tx, organization, row);
    });

  return (app: App): void => {
    app.get(
      '/v1/members',
      {
        config: { auth: { permission: 'users:read' } },
        schema: {
          summary: 'List members',
          tags,
          operationId: 'listMembers',
          querystring: PageQuery,
          response: { 200: pageOf(MemberBody) },
        },
      },
      async ({ principal: { organization }, query: { limit = 50, cursor } }) => {
        const afterUid = decodeCursor(cursor, 1)?.map(String)[0];
        return db.read(async (tx) => {
          const shaped: Static<typeof MemberBody>[] = [];
          for (const row of await listMembers(tx, { organization, afterUid, limit: limit + 1 })) {
            shaped.push(await shape(tx, organization, row));
          }
          return pageFrom(
            shaped,
            limit,
            (member) => [member.uid],
            (member) => member,
          );
        });
      },
    );
    app.post(
      '/v1/members',
      {
        config: { auth: { permission: 'users:write' } },
        schema: {
          summary: 'Make an existing user a member',
          description: 'A user of another organization is named by uid; the account stays with its organization.',
          tags,
          operationId: 'addMember',
          body: strictObject({ uid: Uid, roles: Type.Optional(RoleNames) }),
          response: { 201: MemberBody },
        },
      },
      async ({ principal, origin, body }, reply) => {
        const { organization } = principal;
        const attempt = { subject: principal.id, address: origin.address };
        await throttle.admit(attempt, async (tx) => {
          await audit.append(tx, {
            action: 'member.refused',
            organization,
            origin,
            outcome: 'failure',
            reason: 'too_many_attempts',
          });
        });
        await db.transaction(async (tx) => {
          await members.addMember(tx, {
            organization,
            uid: body.uid,
            roles: body.roles ?? [],
            granter: principal,
            origin,
          });
          await throttle.succeeded(tx, attempt);
        });
        return reply.code(201).send(await read(organization, body.uid));
      },
    );
    app.get(
      '/v1/members/:uid',
      {
        config: { auth: { permission: 'users:read' } },
        schema: { summary: 'Read a member', tags, operationId: 'getMember', params, response: { 200: MemberBody } },
      },
      async ({ principal, params: { uid } }) => read(principal.organization, uid),
    );
    app.patch(
      '/v1/members/:uid',
      {
        config: { auth: { permission: 'users:write' } },
        schema: {
          summary: 'Change a member’s roles',
          tags,
          operationId: 'updateMember',
          params,
          body: strictObject({ roles: RoleNames }),
          response: { 200: MemberBody },
        },
      },
      async ({ principal, origin, params: { uid }, body }) => {
        const { organization } = principal;
        await db.transaction((tx) =>
          users.setRoles(tx, { organization, uid, roles: body.roles, granter: principal, origin }),
        );
        return read(organization, uid);
      },
    );
    app.delete(
      '/v1/members/:uid',
      {
        config: { auth: { permission: 'users:write' } },
        schema: {
          summary: 'End a membership, and the user’s sessions in this organization',
          tags,
          operationId: 'removeMember',
          params,
          response: { 204: Type.Null() },
        },
      },
      async ({ principal, origin, params: { uid } }, reply) => {
        const { organization } = principal;
        await db.transaction((tx) => members.removeMember(tx, { organization, uid, granter: principal, origin }));
        return reply.code(204).send(null);
      },
    );
  };
}
