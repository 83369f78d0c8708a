import { Name, strictObject, Timestamp } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { type App, AppError, type Db } from '../../../kernel/index.ts';
import { issuerAlgorithms, type TrustedIssuer } from './issuer.ts';
import type { Issuers } from './issuer-service.ts';

const IssuerBody = {
  issuer: Type.String({ minLength: 1, maxLength: 512, description: 'exactly the `iss` of its tokens' }),
  jwks_uri: Type.String({ minLength: 1, maxLength: 2048 }),
  algorithms: Type.Array(Type.Enum([...issuerAlgorithms]), { minItems: 1, maxItems: 4 }),
  audiences: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 512 }), { maxItems: 50 })),
};
const Issuer = strictObject({
  name: Name,
  ...IssuerBody,
  audiences: Type.Array(Type.String()),
  created_at: Timestamp,
  created_by: Type.String(),
});
const NameParams = strictObject({ name: Name });

/** `/v1/issuers`: operators decide whose tokens are accepted. */
export function issuerRoutes({ db, issuers }: { db: Db; issuers: Issuers }) {
  return (app: App): void => {
    app.get(
      '/v1/issuers',
      {
        config: { auth: { permission: 'issuers:read' } },
        schema: {
          summary: 'List the trusted issuers',
          tags: ['secrets'],
          operationId: 'listIssuers',
          response: { 200: strictObject({ items: Type.Array(Issuer) }) },
        },
      },
      async () => ({ items: (await db.read((tx) => issuers.list(tx))).map(toAnswer) }),
    );
    app.post(
      '/v1/issuers',
      {
        config: { auth: { permission: 'issuers:write' } },
        schema: {
          summary: 'Trust an issuer',
          tags: ['secrets'],
          operationId: 'createIssuer',
          body: strictObject({ name: Name, ...IssuerBody }),
          response: { 201: Issuer },
        },
      },
      async (request, reply) => {
        const { name, jwks_uri: jwksUri, ...rest } = request.body;
        const issuer = await db.transaction((tx) =>
          issuers.createIssuer(tx, name, { jwksUri, ...rest }, request.origin),
        );
        return reply.code(201).send(toAnswer(issuer));
      },
    );
    app.get(
      '/v1/issuers/:name',
      {
        config: { auth: { permission: 'issuers:read' } },
        schema: {
          summary: 'Show a trusted issuer',
          tags: ['secrets'],
          operationId: 'getIssuer',
          params: NameParams,
          response: { 200: Issuer },
        },
      },
      async (request) => {
        const issuer = await db.read((tx) => issuers.findByName(tx, request.params.name));
        if (!issuer)
          throw new AppError('kernel.not_found', { detail: `There is no trusted issuer ${request.params.name}.` });
        return toAnswer(issuer);
      },
    );
    app.put(
      '/v1/issuers/:name',
      {
        config: { auth: { permission: 'issuers:write' } },
        schema: {
          summary: 'Change a trusted issuer',
          tags: ['secrets'],
          operationId: 'changeIssuer',
          params: NameParams,
          body: strictObject(IssuerBody),
          response: { 200: Issuer },
        },
      },
      async (request) => {
        const { jwks_uri: jwksUri, ...rest } = request.body;
        const { name } = request.params;
        return toAnswer(
          await db.transaction((tx) => issuers.changeIssuer(tx, name, { jwksUri, ...rest }, request.origin)),
        );
      },
    );
    app.delete(
      '/v1/issuers/:name',
      {
        config: { auth: { permission: 'issuers:write' } },
        schema: {
          summary: 'Trust an issuer no longer',
          tags: ['secrets'],
          operationId: 'deleteIssuer',
          params: NameParams,
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        await db.transaction((tx) => issuers.removeIssuer(tx, request.params.name, request.origin));
        return reply.code(204).send(null);
      },
    );
  };
}

function toAnswer(issuer: TrustedIssuer) {
  return {
    name: issuer.name,
    issuer: issuer.issuer,
    jwks_uri: issuer.jwksUri,
    algorithms: issuer.algorithms as (typeof issuerAlgorithms)[number][],
    audiences: [...issuer.audiences],
    created_at: issuer.createdAt.toISOString(),
    created_by: issuer.createdBy,
  };
}
