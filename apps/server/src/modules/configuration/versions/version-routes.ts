import { diffConfigurations } from '@gatehouse/configuration';
import { type JsonObject, Name, pageOf, strictObject } from '@gatehouse/contracts';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { type App, AppError, type Db, decodeCursor, type Principal, pageFrom } from '../../../kernel/index.ts';
import type { Namespace } from '../namespaces/namespace.ts';
import type { Namespaces } from '../namespaces/namespace-service.ts';
import { LabelledPageQuery, Labels, labelOf } from '../namespaces/namespace-wire.ts';
import type { Proposal } from '../proposals/proposal.ts';
import type { Proposals } from '../proposals/proposal-service.ts';
import { ProposedBody, PublishAt, proposalToWire } from '../proposals/proposal-wire.ts';
import { toVisible } from '../values/secret-values.ts';
import type { Version } from './version.ts';
import { noSuchVersion, type Versions } from './version-service.ts';
import { findVersion, listVersions } from './version-store.ts';
import {
  ConfigurationBody,
  Message,
  summaryToWire,
  VersionBody,
  VersionNumber,
  VersionSummaryBody,
  versionToWire,
} from './version-wire.ts';
import { parentVersionOf, readWritten } from './written.ts';

const tags = ['configuration'];
const params = strictObject({ service: Name, namespace: Name });
const versionParams = strictObject({ service: Name, namespace: Name, version: VersionNumber });
const ParentVersion = Type.Integer({ minimum: 0, maximum: 999_999_999, description: 'the version it was made from' });
const laterFields = {
  message: Type.Optional(Message),
  labels: Type.Optional(Labels),
  publish_at: Type.Optional(PublishAt),
  propose: Type.Optional(Type.Boolean({ description: 'another person, who may publish, publishes it' })),
};
const ChangeBody = Type.Object({
  created: Type.Record(Type.String(), Type.Unknown()),
  changed: Type.Record(Type.String(), strictObject({ from: Type.Unknown(), to: Type.Unknown() })),
  deleted: Type.Record(Type.String(), Type.Unknown()),
});

/** Versions of a namespace: publishing, reading, comparing, going back. */
export function versionRoutes({
  db,
  namespaces,
  versions,
  proposals,
}: {
  db: Db;
  namespaces: Namespaces;
  versions: Versions;
  proposals: Pick<Proposals, 'propose'>;
}) {
  const nameOf = (request: {
    principal: { organization: string };
    params: { service: string; namespace: string };
  }) => ({
    organization: request.principal.organization,
    service: request.params.service,
    name: request.params.namespace,
  });
  const read = (request: Parameters<typeof nameOf>[0], number: number) =>
    db.read(async (tx) => {
      const namespace = await namespaces.getNamespace(tx, nameOf(request));
      const version = await findVersion(tx, namespace.id, number);
      if (!version) throw noSuchVersion(number, namespace.latestVersion);
      return { namespace, version };
    });

  return (app: App): void => {
    app.post(
      '/v1/services/:service/:namespace',
      {
        config: { auth: { permission: 'configuration:write' } },
        schema: {
          summary: 'Publish a new version, or propose one',
          description:
            'parent_version, or the header If-Match, names the newest version; 409 names both when there is a newer one. ' +
            'Publishing needs configuration:publish. Where a review is required, with propose or with publish_at, the ' +
            'answer is 202 with a proposal.',
          tags,
          operationId: 'publishVersion',
          params,
          body: strictObject({
            parent_version: Type.Optional(ParentVersion),
            configuration: ConfigurationBody,
            ...laterFields,
          }),
          response: { 201: VersionBody, 202: ProposedBody },
        },
      },
      async (request, reply) => {
        const { principal, origin, body } = request;
        const parentVersion = parentVersionOf(body.parent_version, request.headers['if-match']);
        const configuration = readWritten(body.configuration as JsonObject);
        const mayReveal = principal.permissions.has('configuration:reveal');
        const { message, labels } = body;
        const common = { granter: principal, origin, message, labels };
        const done = await db.transaction(async (tx) => {
          const namespace = await namespaces.getNamespace(tx, nameOf(request));
          const later = laterOf(namespace, principal, body);
          const input = { namespace, parentVersion, configuration, mayReveal };
          return later
            ? { namespace, proposal: await proposals.propose(tx, { ...common, ...later, namespace, content: input }) }
            : { namespace, version: await versions.publishVersion(tx, { ...common, ...input }) };
        });
        return send(reply, done);
      },
    );
    app.get(
      '/v1/services/:service/:namespace/latest',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'The number of the newest version',
          tags,
          operationId: 'getLatestVersion',
          params,
          response: { 200: strictObject({ version: Type.Integer() }) },
        },
      },
      async (request, reply) => {
        const { latestVersion } = await db.read((tx) => namespaces.getNamespace(tx, nameOf(request)));
        return reply.header('etag', `"${latestVersion}"`).send({ version: latestVersion });
      },
    );
    app.get(
      '/v1/services/:service/:namespace/versions',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'List versions, newest first',
          tags,
          operationId: 'listVersions',
          params,
          querystring: LabelledPageQuery,
          response: { 200: pageOf(VersionSummaryBody) },
        },
      },
      async (request) => {
        const { limit = 50, cursor, label } = request.query;
        const before = decodeCursor(cursor, 1)?.map(Number)[0];
        const rows = await db.read(async (tx) => {
          const namespace = await namespaces.getNamespace(tx, nameOf(request));
          return listVersions(tx, namespace.id, { before, limit: limit + 1, label: labelOf(label) });
        });
        return pageFrom(rows, limit, (row) => [row.version], summaryToWire);
      },
    );
    app.get(
      '/v1/services/:service/:namespace/:version',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'Read a version; secrets by fingerprint',
          tags,
          operationId: 'getVersion',
          params: versionParams,
          response: { 200: VersionBody },
        },
      },
      async (request, reply) => {
        const { version } = await read(request, Number(request.params.version));
        return reply.header('etag', `"${version.version}"`).send(versionToWire(version));
      },
    );
    app.get(
      '/v1/services/:service/:namespace/:version/compare',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'What a version changed',
          description: 'Secrets are compared, and shown, by fingerprint.',
          tags,
          operationId: 'compareVersion',
          params: versionParams,
          querystring: strictObject({
            with: Type.Optional(
              Type.String({
                pattern: '^(parent|previous|[1-9][0-9]{0,8})$',
                description: '`parent` (default), `previous`, or the number of a version',
              }),
            ),
          }),
          response: {
            200: strictObject({ version: Type.Integer(), compared_with: Type.Integer(), ...ChangeBody.properties }),
          },
        },
      },
      async (request) => {
        const { with: base = 'parent' } = request.query;
        const { namespace, version } = await read(request, Number(request.params.version));
        const number =
          base === 'parent' ? version.parentVersion : base === 'previous' ? version.version - 1 : Number(base);
        const other = number === 0 ? undefined : await db.read((tx) => findVersion(tx, namespace.id, number));
        if (number !== 0 && !other) throw noSuchVersion(number, namespace.latestVersion);
        return {
          version: version.version,
          compared_with: number,
          ...diffConfigurations(toVisible(other?.effective ?? {}), toVisible(version.effective)),
        };
      },
    );
    app.post(
      '/v1/services/:service/:namespace/rollback',
      {
        config: { auth: { permission: 'configuration:write' } },
        schema: {
          summary: 'Publish the content of an older version as a new one, or propose to',
          tags,
          operationId: 'rollBack',
          params,
          body: strictObject({
            version: Type.Integer({ minimum: 1, maximum: 999_999_999, description: 'the version to restore' }),
            parent_version: Type.Optional(ParentVersion),
            ...laterFields,
          }),
          response: { 201: VersionBody, 202: ProposedBody },
        },
      },
      async (request, reply) => {
        const { principal, origin, body } = request;
        const { version: restores, parent_version: parentVersion, message, labels } = body;
        const common = { granter: principal, origin, message, labels };
        const done = await db.transaction(async (tx) => {
          const namespace = await namespaces.getNamespace(tx, nameOf(request));
          const later = laterOf(namespace, principal, body);
          const content = { restores, parentVersion };
          return later
            ? { namespace, proposal: await proposals.propose(tx, { ...common, ...later, namespace, content }) }
            : { namespace, version: await versions.rollback(tx, { ...common, ...content, namespace }) };
        });
        return send(reply, done);
      },
    );
  };
}

/** 201 with the version, or 202 with what will be one. */
function send(reply: FastifyReply, done: { namespace: Namespace; version?: Version; proposal?: Proposal }) {
  if (done.proposal) return reply.code(202).send({ proposal: proposalToWire(done.namespace, done.proposal) });
  if (!done.version) throw new Error('configuration: neither a version nor a proposal');
  const { version } = done.version;
  return reply.code(201).header('etag', `"${version}"`).send(versionToWire(done.version));
}

/** How it is published if not at once; undefined when it is. 403 for who may neither publish nor asked to propose. */
function laterOf(
  namespace: Namespace,
  principal: Principal,
  body: { propose?: boolean; publish_at?: string },
): { approved: boolean; publishAt: Date | undefined } | undefined {
  const isProposal = namespace.reviewRequired || body.propose === true;
  if (!isProposal && !principal.permissions.has('configuration:publish')) {
    throw new AppError('kernel.forbidden', {
      detail:
        'Publishing needs the permission configuration:publish. With "propose": true somebody who has it can publish it.',
    });
  }
  const publishAt = body.publish_at === undefined ? undefined : new Date(body.publish_at);
  return isProposal || publishAt !== undefined ? { approved: !isProposal, publishAt } : undefined;
}
