import type { JsonObject } from '@gatehouse/contracts';
import { Name, pageOf, strictObject } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { type App, AppError, type Db, decodeCursor, pageFrom } from '../../../kernel/index.ts';
import type { Identity } from '../../identity/index.ts';
import type { Proposals } from '../proposals/proposal-service.ts';
import { ProposalBody, proposalToWire } from '../proposals/proposal-wire.ts';
import { writesClientSecret } from '../references/reference.ts';
import type { Versions } from '../versions/version-service.ts';
import { ConfigurationBody, Message } from '../versions/version-wire.ts';
import { readWritten } from '../versions/written.ts';
import type { Namespaces } from './namespace-service.ts';
import { listNamespaces } from './namespace-store.ts';
import {
  LabelledPageQuery,
  labelOf,
  NamespaceBody,
  namespaceToWire,
  SchemaBody,
  settingsFields,
  settingsOf,
} from './namespace-wire.ts';

const tags = ['configuration'];
const params = strictObject({ service: Name, namespace: Name });

/** Namespaces of a service. */
export function namespaceRoutes({
  db,
  namespaces,
  versions,
  services,
  proposals,
}: {
  db: Db;
  namespaces: Namespaces;
  versions: Versions;
  services: Pick<Identity['services'], 'getService'>;
  proposals: Pick<Proposals, 'propose'>;
}) {
  return (app: App): void => {
    app.post(
      '/v1/services/namespaces',
      {
        config: { auth: { permission: 'configuration:write' } },
        schema: {
          summary:
            'Make a namespace; with a configuration also its version 1, or a proposal where a review is required',
          tags,
          operationId: 'createNamespace',
          body: strictObject({
            service: Name,
            namespace: Name,
            ...settingsFields,
            schema: Type.Optional(SchemaBody),
            configuration: Type.Optional(ConfigurationBody),
            message: Type.Optional(Message),
          }),
          response: { 201: strictObject({ ...NamespaceBody.properties, proposal: Type.Optional(ProposalBody) }) },
        },
      },
      async (request, reply) => {
        const { principal, origin, body } = request;
        const written = body.configuration && readWritten(body.configuration as JsonObject);
        const isProposal = body.review_required === true;
        if (written && !isProposal && !principal.permissions.has('configuration:publish')) {
          throw new AppError('kernel.forbidden', {
            detail: 'Publishing its first version needs the permission configuration:publish. Leave configuration out.',
          });
        }
        const name = { organization: principal.organization, service: body.service, name: body.namespace };
        const made = await db.transaction(async (tx) => {
          const namespace = await namespaces.createNamespace(tx, {
            ...name,
            settings: settingsOf(body),
            permissions: principal.permissions,
            origin,
            clientSecretFor: written && !isProposal && writesClientSecret(written) ? principal : undefined,
          });
          if (!written) return { namespace };
          const common = { namespace, granter: principal, message: body.message, origin };
          const content = { configuration: written, parentVersion: 0, mayReveal: false };
          if (isProposal)
            return { namespace, proposal: await proposals.propose(tx, { ...common, content, approved: false }) };
          const { version } = await versions.publishVersion(tx, { ...common, ...content });
          return { namespace: { ...namespace, latestVersion: version } };
        });
        const { namespace, proposal } = made;
        return reply.code(201).send({
          ...namespaceToWire(namespace),
          ...(proposal ? { proposal: proposalToWire(namespace, proposal) } : {}),
        });
      },
    );
    app.get(
      '/v1/services/:service/namespaces',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'List the namespaces of a service',
          tags,
          operationId: 'listNamespaces',
          params: strictObject({ service: Name }),
          querystring: LabelledPageQuery,
          response: { 200: pageOf(NamespaceBody) },
        },
      },
      async (request) => {
        const { limit = 50, cursor, label } = request.query;
        const { organization } = request.principal;
        const afterName = decodeCursor(cursor, 1)?.map(String)[0];
        const rows = await db.read(async (tx) => {
          await services.getService(tx, organization, request.params.service);
          return listNamespaces(tx, organization, request.params.service, {
            afterName,
            limit: limit + 1,
            label: labelOf(label),
          });
        });
        return pageFrom(rows, limit, (row) => [row.name], namespaceToWire);
      },
    );
    app.get(
      '/v1/services/:service/:namespace',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'Read a namespace',
          tags,
          operationId: 'getNamespace',
          params,
          response: { 200: NamespaceBody },
        },
      },
      async (request) => {
        const { service, namespace: name } = request.params;
        const { organization } = request.principal;
        return namespaceToWire(await db.read((tx) => namespaces.getNamespace(tx, { organization, service, name })));
      },
    );
    app.patch(
      '/v1/services/:service/:namespace',
      {
        config: { auth: { permission: 'configuration:write' } },
        schema: {
          summary: 'Change the settings of a namespace',
          tags,
          operationId: 'updateNamespace',
          params,
          body: strictObject(
            { ...settingsFields, schema: Type.Optional(Type.Union([SchemaBody, Type.Null()])) },
            { minProperties: 1 },
          ),
          response: { 200: NamespaceBody },
        },
      },
      async (request) => {
        const { service, namespace: name } = request.params;
        const { principal, origin, body } = request;
        const { organization, permissions } = principal;
        const input = { organization, service, name, settings: settingsOf(body), permissions, origin };
        return namespaceToWire(await db.transaction((tx) => namespaces.updateNamespace(tx, input)));
      },
    );
    app.delete(
      '/v1/services/:service/:namespace',
      {
        config: { auth: { permission: 'configuration:publish' } },
        schema: {
          summary: 'Delete a namespace with all its versions and secrets',
          tags,
          operationId: 'deleteNamespace',
          params,
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        const { service, namespace: name } = request.params;
        const input = { organization: request.principal.organization, service, name, origin: request.origin };
        await db.transaction((tx) => namespaces.deleteNamespace(tx, input));
        return reply.code(204).send(null);
      },
    );
  };
}
