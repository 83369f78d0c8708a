import { Name, PageQuery, pageOf, strictObject, Timestamp } from '@gatehouse/contracts';
import { type Static, Type } from 'typebox';
import { type App, type Db, decodeCursor, type Principal, pageFrom, type Reader } from '../../../kernel/index.ts';
import { wireTime } from '../deps.ts';
import type { Roles } from '../roles/role-service.ts';
import { listRolesOfServices } from '../roles/role-store.ts';
import type { Service } from './service.ts';
import type { Services } from './service-service.ts';
import { listSecrets, listServices } from './service-store.ts';
import {
  AddedSecretBody,
  CreateServiceBody,
  RegisteredServiceBody,
  ServiceBody,
  serviceToWire,
  settingsOf,
  UpdateServiceBody,
} from './service-wire.ts';

const params = strictObject({ service: Name });
const secretParams = strictObject({
  service: Name,
  secret: Type.String({ pattern: '^sec_[a-z0-9]{1,60}$', maxLength: 64 }),
});
const tags = ['services'];

/** `/v1/services`: the registry of the caller's organization. */
export function serviceRoutes({ db, services, roles }: { db: Db; services: Services; roles: Roles }) {
  /** Services with their roles and secrets, in three statements for the whole page. */
  const shape = async (tx: Reader, organization: string, list: readonly Service[]) => {
    const own = await listRolesOfServices(
      tx,
      organization,
      list.map((service) => service.name),
    );
    const secrets = await listSecrets(
      tx,
      list.map((service) => service.id),
    );
    const shaped: Static<typeof ServiceBody>[] = [];
    for (const service of list) {
      const account = await roles.resolve(tx, organization, service.roleIds);
      shaped.push(
        serviceToWire(service, {
          roles: own
            .filter((role) => role.service === service.name)
            .map((role) => role.name.slice(service.name.length + 1)),
          accountRoles: account.names,
          secrets: secrets.get(service.id) ?? [],
        }),
      );
    }
    return shaped;
  };
  const shapeOne = async (tx: Reader, service: Service) => {
    const [one] = await shape(tx, service.organization, [service]);
    if (!one) throw new Error('shapeOne: one service gives one answer');
    return one;
  };
  const changeOf = (
    request: { principal: Principal; origin: Parameters<Services['suspendService']>[1]['origin'] },
    name: string,
  ) => ({
    organization: request.principal.organization,
    name,
    granter: request.principal,
    origin: request.origin,
  });

  return (app: App): void => {
    app.post(
      '/v1/services',
      {
        config: { auth: { permission: 'services:write' } },
        schema: {
          summary: 'Register a service; its secret is shown this once',
          tags,
          operationId: 'createService',
          body: CreateServiceBody,
          response: { 201: RegisteredServiceBody },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const answer = await db.transaction(async (tx) => {
          const { service, clientSecret } = await services.createService(tx, {
            ...changeOf(request, body.name),
            settings: settingsOf(body),
            roles: body.roles,
            accountRoles: body.account_roles,
          });
          const wire = await shapeOne(tx, service);
          return clientSecret === undefined ? wire : { ...wire, client_secret: clientSecret };
        });
        return reply.code(201).send(answer);
      },
    );
    app.get(
      '/v1/services',
      {
        config: { auth: { permission: 'services:read' } },
        schema: {
          summary: 'List services',
          tags,
          operationId: 'listServices',
          querystring: PageQuery,
          response: { 200: pageOf(ServiceBody) },
        },
      },
      async (request) => {
        const { limit = 50, cursor } = request.query;
        const { organization } = request.principal;
        const afterName = decodeCursor(cursor, 1)?.map(String)[0];
        return db.read(async (tx) => {
          const rows = await listServices(tx, organization, afterName, limit + 1);
          const shaped = await shape(tx, organization, rows);
          return pageFrom(
            shaped,
            limit,
            (service) => [service.name],
            (service) => service,
          );
        });
      },
    );
    app.get(
      '/v1/services/:service',
      {
        config: { auth: { permission: 'services:read' } },
        schema: { summary: 'Read a service', tags, operationId: 'getService', params, response: { 200: ServiceBody } },
      },
      async (request) =>
        db.read(async (tx) =>
          shapeOne(tx, await services.getService(tx, request.principal.organization, request.params.service)),
        ),
    );
    app.patch(
      '/v1/services/:service',
      {
        config: { auth: { permission: 'services:write' } },
        schema: {
          summary: 'Change a service',
          tags,
          operationId: 'updateService',
          params,
          body: UpdateServiceBody,
          response: { 200: ServiceBody },
        },
      },
      async (request) => {
        const { body } = request;
        return db.transaction(async (tx) => {
          const service = await services.updateService(tx, {
            ...changeOf(request, request.params.service),
            settings: settingsOf(body),
            roles: body.roles,
            accountRoles: body.account_roles,
          });
          return shapeOne(tx, service);
        });
      },
    );
    app.delete(
      '/v1/services/:service',
      {
        config: { auth: { permission: 'services:write' } },
        schema: {
          summary: 'Delete a service, its secrets and its roles',
          tags,
          operationId: 'deleteService',
          params,
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        await db.transaction((tx) => services.deleteService(tx, changeOf(request, request.params.service)));
        return reply.code(204).send(null);
      },
    );
    for (const verb of ['suspend', 'restore'] as const) {
      app.post(
        `/v1/services/:service/${verb}`,
        {
          config: { auth: { permission: 'services:write' } },
          schema: {
            summary: verb === 'suspend' ? 'Suspend a service: it gets no tokens and no secrets' : 'Restore a service',
            tags,
            operationId: `${verb}Service`,
            params,
            response: { 200: ServiceBody },
          },
        },
        async (request) => {
          const change = changeOf(request, request.params.service);
          return db.transaction(async (tx) => {
            const act = verb === 'suspend' ? services.suspendService(tx, change) : services.restoreService(tx, change);
            return shapeOne(tx, await act);
          });
        },
      );
    }
    app.post(
      '/v1/services/:service/secrets',
      {
        // Without a body it is a secret without an end.
        preValidation: async (request) => {
          request.body ??= {};
        },
        config: { auth: { permission: 'services:write' } },
        schema: {
          summary: 'Add a second secret, to replace the first without an interruption',
          tags,
          operationId: 'addServiceSecret',
          params,
          body: strictObject({ expires_at: Type.Optional(Timestamp) }),
          response: { 201: AddedSecretBody },
        },
      },
      async (request, reply) => {
        const { service: name } = request.params;
        const { organization } = request.principal;
        const expiresAt = request.body.expires_at === undefined ? undefined : new Date(request.body.expires_at);
        const secret = await db.transaction((tx) => services.addSecret(tx, { ...changeOf(request, name), expiresAt }));
        return reply.code(201).send({
          id: secret.id,
          client_id: `${organization}.${name}`,
          client_secret: secret.clientSecret,
          created_at: wireTime(secret.createdAt),
          ...(expiresAt === undefined ? {} : { expires_at: wireTime(expiresAt) }),
        });
      },
    );
    app.delete(
      '/v1/services/:service/secrets/:secret',
      {
        config: { auth: { permission: 'services:write' } },
        schema: {
          summary: 'Delete a secret: it is refused from now on',
          tags,
          operationId: 'deleteServiceSecret',
          params: secretParams,
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        const { service, secret } = request.params;
        await db.transaction((tx) => services.deleteSecret(tx, { ...changeOf(request, service), secretId: secret }));
        return reply.code(204).send(null);
      },
    );
  };
}
