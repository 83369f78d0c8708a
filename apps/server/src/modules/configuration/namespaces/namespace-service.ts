import { reservedNamespaceNames } from '@gatehouse/contracts';
import {
  AppError,
  type Clock,
  invalidField,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Identity } from '../../identity/index.ts';
import { type Namespace, type NamespaceSettings, namespacePath } from './namespace.ts';
import {
  deleteNamespaceRow,
  findNamespace,
  findNamespaceForUpdate,
  insertNamespace,
  listDependents,
  listNamespaces,
  updateNamespaceSettings,
} from './namespace-store.ts';

/** Which namespace, by its names. */
export interface NamespaceName {
  readonly organization: string;
  readonly service: string;
  readonly name: string;
}

/** Namespaces of services. */
export function createNamespaces(deps: {
  clock: Clock;
  random: Pick<Random, 'id'>;
  audit: Pick<Audit, 'append'>;
  services: Pick<Identity['services'], 'getService'>;
}) {
  const { clock, random, audit, services } = deps;

  const getNamespace = async (tx: Reader, { organization, service, name }: NamespaceName): Promise<Namespace> => {
    const namespace = await findNamespace(tx, organization, service, name);
    if (!namespace) throw notFound();
    return namespace;
  };

  const record = (tx: Tx, action: string, namespace: Namespace, origin: Origin, details = {}) =>
    audit.append(tx, {
      action,
      organization: namespace.organization,
      origin,
      target: { type: 'namespace', id: namespacePath(namespace) },
      details: { service: namespace.service, namespace: namespace.name, ...details },
    });

  return {
    getNamespace,
    /** By name, a page. */
    listNamespaces,

    /** Makes a namespace without a version; 409 when the service has one of this name. */
    async createNamespace(
      tx: Tx,
      input: NamespaceName & { settings?: Partial<NamespaceSettings>; origin: Origin },
    ): Promise<Namespace> {
      const { organization, service: serviceName, name, settings = {}, origin } = input;
      if (reservedNamespaceNames.has(name)) {
        throw invalidField('namespace', 'is a name that the API uses itself', 'choose another one');
      }
      const service = await services.getService(tx, organization, serviceName);
      const now = clock.now();
      const namespace: Namespace = {
        id: random.id('ns'),
        organization,
        serviceId: service.id,
        service: service.name,
        name,
        latestVersion: 0,
        extends: [],
        shared: settings.shared ?? false,
        schema: settings.schema,
        reviewRequired: settings.reviewRequired ?? false,
        labels: settings.labels ?? {},
        createdAt: now,
        createdBy: origin.actor.id,
        updatedAt: now,
      };
      if (!(await insertNamespace(tx, namespace))) {
        throw new AppError('configuration.namespace_exists', {
          detail: `The service ${serviceName} has a namespace ${name}. Choose another name, or publish a version there.`,
        });
      }
      await record(tx, 'namespace.created', namespace, origin);
      return namespace;
    },

    /** Changes settings; those that are not named stay. */
    async updateNamespace(
      tx: Tx,
      input: NamespaceName & { settings: Partial<NamespaceSettings>; origin: Origin },
    ): Promise<Namespace> {
      const found = await getNamespace(tx, input);
      const before = await findNamespaceForUpdate(tx, found.id);
      if (!before) throw notFound();
      const now = clock.now();
      const after: Namespace = { ...before, ...input.settings, updatedAt: now };
      await updateNamespaceSettings(tx, before.id, after, now);
      await record(tx, 'namespace.updated', after, input.origin, { changed: Object.keys(input.settings) });
      return after;
    },

    /** Deletes a namespace with its versions and secrets; 409 while others extend it. */
    async deleteNamespace(tx: Tx, input: NamespaceName & { origin: Origin }): Promise<void> {
      const found = await getNamespace(tx, input);
      const namespace = await findNamespaceForUpdate(tx, found.id);
      if (!namespace) throw notFound();
      const dependents = await listDependents(tx, namespace.id);
      if (dependents.length > 0) throw inUse(dependents.length);
      await deleteNamespaceRow(tx, namespace.id);
      await record(tx, 'namespace.deleted', namespace, input.origin, { version: namespace.latestVersion });
    },
  };
}

/** What {@link createNamespaces} gives. */
export type Namespaces = ReturnType<typeof createNamespaces>;

function notFound(): AppError {
  return new AppError('kernel.not_found', { detail: 'There is no namespace of this name.' });
}

function inUse(count: number): AppError {
  return new AppError('configuration.namespace_in_use', {
    detail: `${count} other namespace${count === 1 ? ' extends' : 's extend'} it. Take it out of their "extends" first.`,
  });
}
