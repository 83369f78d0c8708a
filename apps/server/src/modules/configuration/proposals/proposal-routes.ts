import { Name, PageQuery, pageOf, strictObject } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { type App, type Db, decodeCursor, pageFrom } from '../../../kernel/index.ts';
import type { Namespaces } from '../namespaces/namespace-service.ts';
import { findVersion } from '../versions/version-store.ts';
import { VersionBody, versionToWire } from '../versions/version-wire.ts';
import type { Proposals } from './proposal-service.ts';
import {
  ProposalBody,
  ProposalDetailBody,
  ProposalStateQuery,
  ProposedBody,
  proposalDetailToWire,
  proposalToWire,
} from './proposal-wire.ts';

const tags = ['configuration'];
const params = strictObject({ service: Name, namespace: Name });
const proposalParams = strictObject({
  service: Name,
  namespace: Name,
  proposal: Type.String({ pattern: '^prop_[a-z0-9]{1,60}$', maxLength: 70 }),
});

/** Proposals of a namespace: reading them, agreeing, taking them back. They are made where versions are published. */
export function proposalRoutes({
  db,
  namespaces,
  proposals,
}: {
  db: Db;
  namespaces: Pick<Namespaces, 'getNamespace'>;
  proposals: Proposals;
}) {
  const nameOf = (request: {
    principal: { organization: string };
    params: { service: string; namespace: string };
  }) => ({
    organization: request.principal.organization,
    service: request.params.service,
    name: request.params.namespace,
  });

  return (app: App): void => {
    app.get(
      '/v1/services/:service/:namespace/proposals',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'List proposals, newest first',
          tags,
          operationId: 'listProposals',
          params,
          querystring: strictObject({ ...PageQuery.properties, state: Type.Optional(ProposalStateQuery) }),
          response: { 200: pageOf(ProposalBody) },
        },
      },
      async (request) => {
        const { limit = 50, cursor, state } = request.query;
        const before = decodeCursor(cursor, 1)?.map(String)[0];
        const { namespace, rows } = await db.read(async (tx) => {
          const found = await namespaces.getNamespace(tx, nameOf(request));
          return {
            namespace: found,
            rows: await proposals.listProposals(tx, found.id, { state, before, limit: limit + 1 }),
          };
        });
        return pageFrom(
          rows,
          limit,
          (row) => [row.id],
          (row) => proposalToWire(namespace, row),
        );
      },
    );
    app.get(
      '/v1/services/:service/:namespace/proposals/:proposal',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'Read a proposal and what it would change; secrets by fingerprint',
          tags,
          operationId: 'getProposal',
          params: proposalParams,
          response: { 200: ProposalDetailBody },
        },
      },
      async (request) =>
        db.read(async (tx) => {
          const namespace = await namespaces.getNamespace(tx, nameOf(request));
          const proposal = await proposals.getProposal(tx, namespace, request.params.proposal);
          const parent = await findVersion(tx, namespace.id, proposal.parentVersion);
          const restored =
            proposal.restores === undefined ? undefined : await findVersion(tx, namespace.id, proposal.restores);
          return proposalDetailToWire(namespace, proposal, { parent, restored });
        }),
    );
    app.post(
      '/v1/services/:service/:namespace/proposals/:proposal/publish',
      {
        config: { auth: { permission: 'configuration:publish' } },
        schema: {
          summary: "Agree to another person's proposal: it is published now, or at its time",
          description:
            'Not for its author, and not for services. 409 names both versions when the newest is another one.',
          tags,
          operationId: 'publishProposal',
          params: proposalParams,
          response: { 201: VersionBody, 202: ProposedBody },
        },
      },
      async (request, reply) => {
        const { principal, origin, params: at } = request;
        const { namespace, proposal, version } = await db.transaction(async (tx) => {
          const found = await namespaces.getNamespace(tx, nameOf(request));
          const input = { namespace: found, id: at.proposal, granter: principal, origin };
          return { namespace: found, ...(await proposals.approve(tx, input)) };
        });
        if (!version) return reply.code(202).send({ proposal: proposalToWire(namespace, proposal) });
        return reply.code(201).header('etag', `"${version.version}"`).send(versionToWire(version));
      },
    );
    app.post(
      '/v1/services/:service/:namespace/proposals/:proposal/withdraw',
      {
        config: { auth: { permission: 'configuration:write' } },
        schema: {
          summary: 'Take a proposal back: its author, or who could publish it',
          tags,
          operationId: 'withdrawProposal',
          params: proposalParams,
          response: { 200: ProposedBody },
        },
      },
      async (request) => {
        const { principal, origin, params: at } = request;
        return db.transaction(async (tx) => {
          const namespace = await namespaces.getNamespace(tx, nameOf(request));
          const mayPublish = principal.permissions.has('configuration:publish');
          const proposal = await proposals.withdraw(tx, { namespace, id: at.proposal, mayPublish, origin });
          return { proposal: proposalToWire(namespace, proposal) };
        });
      },
    );
  };
}
