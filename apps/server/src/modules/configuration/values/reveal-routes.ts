import { Name, strictObject } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { type App, AppError, type Db } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { namespacePath } from '../namespaces/namespace.ts';
import type { Namespaces } from '../namespaces/namespace-service.ts';
import { findVersion } from '../versions/version-store.ts';
import { VersionNumber } from '../versions/version-wire.ts';
import { isStoredSecret, type SecretValues } from './secret-values.ts';

/** Showing secrets to people: to those who may, and never without a trace. */
export function revealRoutes({
  db,
  audit,
  namespaces,
  secretValues,
}: {
  db: Db;
  audit: Pick<Audit, 'append'>;
  namespaces: Namespaces;
  secretValues: SecretValues;
}) {
  return (app: App): void => {
    app.post(
      '/v1/services/:service/:namespace/:version/reveal',
      {
        config: { auth: { permission: 'configuration:reveal' } },
        schema: {
          summary: 'Show secrets of a version; an audit entry says who did',
          tags: ['configuration'],
          operationId: 'revealSecrets',
          params: strictObject({ service: Name, namespace: Name, version: VersionNumber }),
          body: strictObject({
            keys: Type.Optional(
              Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
                minItems: 1,
                maxItems: 2000,
                uniqueItems: true,
                description: 'all secrets when absent',
              }),
            ),
            reason: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
          }),
          response: {
            200: strictObject({ version: Type.Integer(), values: Type.Record(Type.String(), Type.Unknown()) }),
          },
        },
      },
      async (request, reply) => {
        const { principal, origin, params, body } = request;
        const answer = await db.transaction(async (tx) => {
          const name = { organization: principal.organization, service: params.service, name: params.namespace };
          const namespace = await namespaces.getNamespace(tx, name);
          const version = await findVersion(tx, namespace.id, Number(params.version));
          if (!version) throw new AppError('kernel.not_found', { detail: 'There is no such version.' });
          const { effective } = version;
          const missing = (body.keys ?? []).filter(
            (key) => !(Object.hasOwn(effective, key) && isStoredSecret(effective[key])),
          );
          if (missing.length > 0) {
            throw new AppError('kernel.not_found', {
              detail: `Version ${version.version} has no secret ${missing.slice(0, 10).join(', ')}.`,
            });
          }
          const opened = await secretValues.open(tx, namespace, effective, body.keys && new Set(body.keys));
          await audit.append(tx, {
            action: 'configuration.revealed',
            organization: namespace.organization,
            origin,
            target: { type: 'namespace', id: namespacePath(namespace) },
            ...(body.reason === undefined ? {} : { reason: body.reason }),
            details: { version: version.version, keys: [...opened.keys()] },
          });
          return {
            version: version.version,
            values: Object.fromEntries([...opened].map(([key, { value }]) => [key, value])),
          };
        });
        return reply.header('cache-control', 'no-store').send(answer);
      },
    );
  };
}
