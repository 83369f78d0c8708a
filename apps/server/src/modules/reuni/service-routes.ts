import { AppError, type Db, isAppError, type Tx } from '../../kernel/index.ts';
import type { Configuration } from '../configuration/index.ts';
import type { Identity, Service } from '../identity/index.ts';
import type { Member } from './access.ts';
import { created, done, inWords } from './answer.ts';
import { badRequest, textOf } from './body.ts';
import type { Directory } from './directory.ts';
import { assertName, isName } from './names.ts';
import type { Routes } from './route.ts';

/** The name of the token that a service gets here. */
const tokenName = 'reuni';

/** `/:organization/services`, `…/token` and `…/validatetoken`. */
export function serviceRoutes(
  routes: Routes,
  {
    db,
    identity: { services },
    configuration: { agents },
    directory,
  }: { db: Db; identity: Identity; configuration: Configuration; directory: Directory },
): void {
  /**
   * The service's token for agents of this layer, shown to all members as the original does: so never one with which an
   * agent could enrol, for that one leads to secrets.
   */
  const showToken = async (tx: Tx, service: Service, who: Member): Promise<string | undefined> => {
    const all = await agents.tokens.listServiceTokens(tx, service);
    const id = all.find((token) => !token.mayEnrol)?.id;
    if (id === undefined) return undefined;
    return (await agents.tokens.showServiceToken(tx, { service, id, origin: who.origin })).authorizationToken;
  };

  const listAll = async (tx: Tx, organization: string): Promise<Service[]> => {
    const all: Service[] = [];
    const limit = 200;
    for (let count = limit; count === limit; ) {
      const page = await services.listServices(tx, organization, all.at(-1)?.name, limit);
      all.push(...page);
      count = page.length;
    }
    return all;
  };

  routes.member('read', {
    method: 'GET',
    path: '/:organization/services',
    operationId: 'reuniListServices',
    summary: 'Services with their tokens for agents',
    async handle({ who }) {
      const listed = await db.transaction(async (tx) => {
        const found = await listAll(tx, who.organization);
        const organizationId = await directory.organizationId(tx, who.organization);
        const names = await directory.namesOf(
          tx,
          found.map(({ createdBy }) => createdBy),
        );
        const shown = [];
        for (const service of found) {
          shown.push({
            name: service.name,
            authorization_token: (await showToken(tx, service, who)) ?? '',
            created_at: service.createdAt.toISOString(),
            organization_id: organizationId,
            created_by: names.get(service.createdBy) ?? service.createdBy,
          });
        }
        return shown;
      });
      return { status: 200, json: listed };
    },
  });

  routes.member('manage', {
    method: 'POST',
    path: '/:organization/services',
    operationId: 'reuniCreateService',
    summary: 'Make a service with a token for its agents',
    async handle({ who, body }) {
      const name = textOf(body(), 'name');
      assertName(name, 'Service');
      const { organization, granter, origin } = who;
      const making = db.transaction(async (tx) => {
        // It is no OAuth client: nobody would see the secret that one gets.
        const settings = { authentication: 'none' } as const;
        const { service } = await services.createService(tx, { organization, name, settings, granter, origin });
        await agents.tokens.createServiceToken(tx, { service, name: tokenName, mayEnrol: false, origin });
      });
      await inWords(['identity.service_exists', 'identity.audience_taken'], 'Service already exist', making);
      return created;
    },
  });

  routes.member('manage', {
    method: 'DELETE',
    path: '/:organization/services',
    operationId: 'reuniDeleteService',
    summary: 'Delete a service with its namespaces',
    async handle({ who, body }) {
      const name = textOf(body(), 'name');
      if (name === '') throw badRequest('Service name not defined');
      if (!isName(name)) return done;
      const { organization, granter, origin } = who;
      try {
        await db.transaction((tx) => services.deleteService(tx, { organization, name, granter, origin }));
      } catch (error) {
        // As the original: what is not there is gone.
        if (!isAppError(error, 'kernel.not_found')) throw error;
      }
      return done;
    },
  });

  routes.member('read', {
    method: 'GET',
    path: '/:organization/:service/token',
    operationId: 'reuniGetServiceToken',
    summary: 'The service’s token for agents',
    async handle({ who, service: name }) {
      const token = await db.transaction(async (tx) => {
        const service = await services.getService(tx, who.organization, name);
        return showToken(tx, service, who);
      });
      if (token === undefined) {
        throw new AppError('kernel.not_found', {
          detail: 'The service has no token that may be shown here. Make one that may not enrol agents.',
        });
      }
      return { status: 200, json: { authorization_token: token } };
    },
  });

  routes.open('whoever has a token of a service may ask whether it is one', {
    method: 'GET',
    path: '/:organization/:service/validatetoken',
    operationId: 'reuniValidateToken',
    summary: 'Is this an authorization token of the service?',
    async handle({ request, service: name }) {
      const { organization = '' } = request.params as { organization?: string };
      const service = await db.read((tx) => services.findService(tx, organization, name));
      if (!service) throw new AppError('kernel.not_found', { detail: 'Not Found' });
      const caller = await agents.callers.findServiceToken(request.headers.authorization ?? '');
      const valid = caller?.serviceId === service.id && (await agents.callers.isServiceActive(service.id));
      return { status: 200, json: { valid } };
    },
  });
}
