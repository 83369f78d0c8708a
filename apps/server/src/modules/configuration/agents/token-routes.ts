import { Name, pageOf, strictObject } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { type App, AppError, type Db } from '../../../kernel/index.ts';
import type { Identity } from '../../identity/index.ts';
import {
  EnrolmentTokenBody,
  enrolmentTokenToWire,
  NewEnrolmentTokenBody,
  NewServiceTokenBody,
  ServiceTokenBody,
  ShownEnrolmentTokenBody,
  ShownServiceTokenBody,
  serviceTokenToWire,
} from './agent-wire.ts';
import { bearerToken, type Callers } from './callers.ts';
import { serviceTokenPattern, type Tokens } from './token-service.ts';

const tags = ['agents'];
const params = strictObject({ service: Name });
const idParams = (prefix: string) =>
  strictObject({ service: Name, id: Type.String({ pattern: `^${prefix}_[a-z0-9]{1,60}$` }) });

/** Authorization tokens of a service, and one-time tokens with which its agents enrol. */
export function tokenRoutes(deps: {
  db: Db;
  tokens: Tokens;
  callers: Pick<Callers, 'findServiceToken' | 'isServiceActive'>;
  services: Pick<Identity['services'], 'getService'>;
}) {
  const { db, tokens, callers, services } = deps;
  return (app: App): void => {
    // Whoever holds such a token gets at secret values, so making and seeing one takes the right to see them.
    const reveal = { auth: { permission: 'configuration:reveal' } } as const;
    const read = { auth: { permission: 'configuration:read' } } as const;
    const publish = { auth: { permission: 'configuration:publish' } } as const;
    const bodyOptional = async (request: { body?: unknown }) => {
      request.body ??= {};
    };

    app.post(
      '/v1/services/:service/tokens',
      {
        preValidation: bodyOptional,
        config: reveal,
        schema: {
          summary: 'Make an authorization token of a service',
          tags,
          operationId: 'createServiceToken',
          params,
          body: NewServiceTokenBody,
          response: { 201: ShownServiceTokenBody },
        },
      },
      async (request, reply) => {
        const { principal, origin, body } = request;
        const made = await db.transaction(async (tx) =>
          tokens.createServiceToken(tx, {
            service: await services.getService(tx, principal.organization, request.params.service),
            name: body.name ?? 'default',
            mayEnrol: body.may_enrol ?? true,
            origin,
          }),
        );
        const authorization_token = made.authorizationToken;
        return reply.code(201).send({ ...serviceTokenToWire(made.token), authorization_token });
      },
    );
    app.get(
      '/v1/services/:service/tokens',
      {
        config: read,
        schema: {
          summary: 'List the authorization tokens of a service, without showing them',
          tags,
          operationId: 'listServiceTokens',
          params,
          response: { 200: pageOf(ServiceTokenBody) },
        },
      },
      async (request) => {
        const list = await db.read(async (tx) =>
          tokens.listServiceTokens(
            tx,
            await services.getService(tx, request.principal.organization, request.params.service),
          ),
        );
        return { items: list.map(serviceTokenToWire) };
      },
    );
    app.get(
      '/v1/services/:service/tokens/:id',
      {
        config: reveal,
        schema: {
          summary: 'Show an authorization token again',
          tags,
          operationId: 'getServiceToken',
          params: idParams('svt'),
          response: { 200: ShownServiceTokenBody },
        },
      },
      async (request) => {
        const { service, id } = request.params;
        const shown = await db.transaction(async (tx) =>
          tokens.showServiceToken(tx, {
            service: await services.getService(tx, request.principal.organization, service),
            id,
            origin: request.origin,
          }),
        );
        return { ...serviceTokenToWire(shown.token), authorization_token: shown.authorizationToken };
      },
    );
    app.delete(
      '/v1/services/:service/tokens/:id',
      {
        config: publish,
        schema: {
          summary: 'Delete an authorization token: it is refused from now on',
          tags,
          operationId: 'deleteServiceToken',
          params: idParams('svt'),
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        const { service, id } = request.params;
        await db.transaction(async (tx) =>
          tokens.deleteServiceToken(tx, {
            service: await services.getService(tx, request.principal.organization, service),
            id,
            origin: request.origin,
          }),
        );
        return reply.code(204).send(null);
      },
    );
    app.get(
      '/v1/services/:service/token',
      {
        config: reveal,
        schema: {
          summary: 'Show the authorization token of a service',
          description: 'Its oldest one; one that may enrol agents before others.',
          tags,
          operationId: 'getServiceAuthorizationToken',
          params,
          response: { 200: strictObject({ authorization_token: Type.String() }) },
        },
      },
      async (request) => {
        const shown = await db.transaction(async (tx) =>
          tokens.showServiceToken(tx, {
            service: await services.getService(tx, request.principal.organization, request.params.service),
            origin: request.origin,
          }),
        );
        return { authorization_token: shown.authorizationToken };
      },
    );
    app.get(
      '/v1/services/:service/validatetoken',
      {
        config: { auth: { public: 'it is asked whether the token in the request is good, and answers nothing else' } },
        schema: {
          summary: 'Tell whether the authorization token of this request is a good one of this service',
          tags,
          operationId: 'validateServiceToken',
          params,
          response: { 200: strictObject({ valid: Type.Boolean() }) },
        },
      },
      async (request) => {
        const token = bearerToken(request.headers.authorization);
        if (token === undefined || !serviceTokenPattern.test(token)) return { valid: false };
        const found = await callers.findServiceToken(token);
        const isOfService = found?.service === request.params.service;
        return { valid: found !== undefined && isOfService && (await callers.isServiceActive(found.serviceId)) };
      },
    );

    app.post(
      '/v1/services/:service/enrolment-tokens',
      {
        preValidation: bodyOptional,
        config: reveal,
        schema: {
          summary: 'Make a one-time token with which one agent can enrol',
          tags,
          operationId: 'createEnrolmentToken',
          params,
          body: NewEnrolmentTokenBody,
          response: { 201: ShownEnrolmentTokenBody },
        },
      },
      async (request, reply) => {
        const { principal, origin, body } = request;
        const made = await db.transaction(async (tx) => {
          const service = await services.getService(tx, principal.organization, request.params.service);
          if (service.status !== 'active') {
            throw new AppError('kernel.conflict', { detail: 'The service is suspended. Restore it first.' });
          }
          return tokens.createEnrolmentToken(tx, {
            service,
            name: body.name,
            expiresInSeconds: body.expires_in,
            origin,
          });
        });
        return reply.code(201).send({ ...enrolmentTokenToWire(made.token), enrolment_token: made.enrolmentToken });
      },
    );
    app.get(
      '/v1/services/:service/enrolment-tokens',
      {
        config: read,
        schema: {
          summary: 'List the enrolment tokens of a service that can still be used',
          tags,
          operationId: 'listEnrolmentTokens',
          params,
          response: { 200: pageOf(EnrolmentTokenBody) },
        },
      },
      async (request) => {
        const list = await db.read(async (tx) =>
          tokens.listEnrolmentTokens(
            tx,
            await services.getService(tx, request.principal.organization, request.params.service),
          ),
        );
        return { items: list.map(enrolmentTokenToWire) };
      },
    );
    app.delete(
      '/v1/services/:service/enrolment-tokens/:id',
      {
        config: publish,
        schema: {
          summary: 'Take an unused enrolment token back',
          tags,
          operationId: 'deleteEnrolmentToken',
          params: idParams('enr'),
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        const { service, id } = request.params;
        await db.transaction(async (tx) =>
          tokens.deleteEnrolmentToken(tx, {
            service: await services.getService(tx, request.principal.organization, service),
            id,
            origin: request.origin,
          }),
        );
        return reply.code(204).send(null);
      },
    );
  };
}
