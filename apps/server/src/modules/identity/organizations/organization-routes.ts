import { Name, PageQuery, pageOf, strictObject, Timestamp } from '@gatehouse/contracts';
import { type Static, Type } from 'typebox';
import { type App, AppError, type Db, decodeCursor, type Principal, pageFrom } from '../../../kernel/index.ts';
import { wireTime } from '../deps.ts';
import type { Organizations } from './organization-service.ts';
import type { Organization } from './organization-store.ts';

const OrganizationBody = strictObject({
  id: Type.String(),
  name: Name,
  status: Type.Union([Type.Literal('active'), Type.Literal('suspended')]),
  created_at: Timestamp,
  created_by: Type.String(),
});
const params = strictObject({ organization: Name });
const tags = ['organizations'];

/** `/v1/organizations`: operators see and make all, others read their own. */
export function organizationRoutes({ db, organizations }: { db: Db; organizations: Organizations }) {
  return (app: App): void => {
    app.get(
      '/v1/organizations',
      {
        config: { auth: { permission: 'organizations:read' } },
        schema: {
          summary: 'List organizations',
          tags,
          operationId: 'listOrganizations',
          querystring: PageQuery,
          response: { 200: pageOf(OrganizationBody) },
        },
      },
      async (request) => {
        const { limit = 50, cursor } = request.query;
        const afterName = decodeCursor(cursor, 1)?.map(String)[0];
        const only = seesAll(request.principal) ? undefined : request.principal.organization;
        const rows = await db.read((tx) => organizations.listOrganizations(tx, { only, afterName, limit: limit + 1 }));
        return pageFrom(rows, limit, (row) => [row.name], toWire);
      },
    );
    app.post(
      '/v1/organizations',
      {
        config: { auth: { permission: 'organizations:write' } },
        schema: {
          summary: 'Create an organization',
          tags,
          operationId: 'createOrganization',
          body: strictObject({ name: Name }),
          response: { 201: OrganizationBody },
        },
      },
      async (request, reply) => {
        const created = await db.transaction((tx) =>
          organizations.createOrganization(tx, { name: request.body.name, origin: request.origin }),
        );
        return reply.code(201).send(toWire(created));
      },
    );
    app.get(
      '/v1/organizations/:organization',
      {
        config: { auth: { permission: 'organizations:read' } },
        schema: {
          summary: 'Read an organization',
          tags,
          operationId: 'getOrganization',
          params,
          response: { 200: OrganizationBody },
        },
      },
      async (request) => {
        const { principal, params } = request;
        return db.read(async (tx) => {
          const found = await organizations.findOrganization(tx, params.organization);
          if (!found || (!seesAll(principal) && found.name !== principal.organization)) {
            throw new AppError('kernel.not_found', { detail: 'There is no organization of this name.' });
          }
          return toWire(found);
        });
      },
    );
    for (const verb of ['suspend', 'restore'] as const) {
      app.post(
        `/v1/organizations/:organization/${verb}`,
        {
          config: { auth: { permission: 'organizations:write' } },
          schema: {
            summary: verb === 'suspend' ? 'Suspend an organization' : 'Restore a suspended organization',
            tags,
            operationId: `${verb}Organization`,
            params,
            response: { 200: OrganizationBody },
          },
        },
        async (request) => {
          const input = { name: request.params.organization, origin: request.origin };
          const changed = await db.transaction((tx) =>
            verb === 'suspend'
              ? organizations.suspendOrganization(tx, input)
              : organizations.restoreOrganization(tx, input),
          );
          return toWire(changed);
        },
      );
    }
  };
}

function seesAll(principal: Principal): boolean {
  return principal.operator || principal.permissions.has('organizations:write');
}

function toWire(row: Organization): Static<typeof OrganizationBody> {
  return {
    id: row.id,
    name: row.name,
    status: row.status,
    created_at: wireTime(row.created_at),
    created_by: row.created_by,
  };
}
