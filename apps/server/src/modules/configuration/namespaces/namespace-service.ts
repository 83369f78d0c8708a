import { createHash } from 'node:crypto';
import { type JsonObject, type Permission, reservedNamespaceNames } from '@gatehouse/contracts';
import { canonicalJson } from '@gatehouse/crypto';
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
import type { Granter, Identity } from '../../identity/index.ts';
import type { ClientSecrets } from '../references/client-secrets.ts';
import type { Schemas } from '../schemas/schemas.ts';
import type { RefreshQueue } from '../versions/refresh-queue.ts';
import { assertNotExtendedByOthers, namespaceInUse, setExtensions } from './inheritance.ts';
import { deleteExtensionsOfService, isPassedOn, listDependents, lockInheritance } from './inheritance-store.ts';
import { type Namespace, type NamespaceSettings, namespaceEntry } from './namespace.ts';
import {
  countNamespaces,
  deleteNamespaceRow,
  findNamespace,
  findNamespaceById,
  findNamespaceForUpdate,
  insertNamespace,
  listNamespaces,
  updateNamespaceSettings,
} from './namespace-store.ts';

/** Namespaces that a service has at most. */
export const maxNamespaces = 200;

/** Which namespace, by its names. */
export interface NamespaceName {
  readonly organization: string;
  readonly service: string;
  readonly name: string;
}

/** Settings to be set, and by whom. */
export interface SettingsChange {
  readonly settings?: Partial<NamespaceSettings>;
  /** What the caller may do; nothing beyond plain settings when absent. */
  readonly permissions?: ReadonlySet<Permission> | undefined;
  readonly origin: Origin;
}

/** Namespaces of services. */
export function createNamespaces(deps: {
  clock: Clock;
  random: Pick<Random, 'id'>;
  audit: Pick<Audit, 'append'>;
  services: Pick<Identity['services'], 'getService'>;
  schemas: Pick<Schemas, 'assertUsable'>;
  queue: Pick<RefreshQueue, 'refresh'>;
  clientSecrets: Pick<ClientSecrets, 'ensure'>;
}) {
  const { clock, random, audit, services, schemas, queue, clientSecrets } = deps;

  const getNamespace = async (tx: Reader, { organization, service, name }: NamespaceName): Promise<Namespace> => {
    const namespace = await findNamespace(tx, organization, service, name);
    if (!namespace) throw notFound();
    return namespace;
  };

  const record = (tx: Tx, action: string, namespace: Namespace, origin: Origin, details = {}) =>
    audit.append(tx, namespaceEntry(namespace, { action, origin, details }));

  /** The namespace as it is stored now. */
  const reread = async (tx: Tx, id: string): Promise<Namespace> => {
    const namespace = await findNamespaceById(tx, id);
    if (!namespace) throw new Error(`configuration: ${id} is not there although it is locked`);
    return namespace;
  };

  return {
    getNamespace,
    /** By name, a page. */
    listNamespaces,

    /** Makes a namespace without a version; 409 when the service has one of this name. */
    async createNamespace(
      tx: Tx,
      input: NamespaceName & SettingsChange & { clientSecretFor?: Granter | undefined },
    ): Promise<Namespace> {
      const { organization, service: serviceName, name, settings = {}, permissions = new Set(), origin } = input;
      if (reservedNamespaceNames.has(name)) {
        throw invalidField('namespace', 'is a name that the API uses itself', 'choose another one');
      }
      if (settings.schema !== undefined) schemas.assertUsable(settings.schema);
      if (settings.shared === true) assertMay(permissions, 'configuration:reveal', sharing);
      const service = await services.getService(tx, organization, serviceName);
      if (input.clientSecretFor !== undefined) {
        // Before the new row holds a lock on its service: two that both want more of it would wait for each other.
        const owner = { organization, service: serviceName, serviceId: service.id };
        await clientSecrets.ensure(tx, owner, { granter: input.clientSecretFor, origin });
      }
      const now = clock.now();
      const namespace: Namespace = {
        id: random.id('ns'),
        organization,
        serviceId: service.id,
        service: service.name,
        name,
        latestVersion: 0,
        refreshProblem: undefined,
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
      await lockInheritance(tx, organization);
      if ((await countNamespaces(tx, service.id)) > maxNamespaces) {
        throw new AppError('kernel.conflict', {
          detail: `The service ${serviceName} has ${maxNamespaces} namespaces, which is the most. Delete one first.`,
        });
      }
      if (settings.extends !== undefined && settings.extends.length > 0) {
        await setExtensions(tx, namespace, settings.extends);
      }
      const made = await reread(tx, namespace.id);
      await record(tx, 'namespace.created', made, origin, describe(made));
      return made;
    },

    /** Changes settings; those that are not named stay. What changes the content is published by a job. */
    async updateNamespace(tx: Tx, input: NamespaceName & SettingsChange): Promise<Namespace> {
      const { settings = {}, permissions = new Set(), origin, organization } = input;
      if (settings.schema !== undefined) schemas.assertUsable(settings.schema);
      const found = await getNamespace(tx, input);
      await lockInheritance(tx, organization);
      const before = await findNamespaceForUpdate(tx, found.id);
      if (!before) throw notFound();
      if (settings.shared === true && !before.shared) assertMay(permissions, 'configuration:reveal', sharing);
      if (settings.shared === false && before.shared) await assertNotExtendedByOthers(tx, before.serviceId, before.id);
      if (settings.reviewRequired === false && before.reviewRequired) {
        assertMay(permissions, 'configuration:publish', 'To switch the review off');
      }
      const now = clock.now();
      await updateNamespaceSettings(tx, before.id, { ...before, ...settings }, now);
      if (settings.extends !== undefined && !sameList(settings.extends, before.extends)) {
        await changeExtensions(tx, before, settings.extends, permissions);
      }
      const after = await reread(tx, before.id);
      const changes = changesOf(describe(before), describe(after));
      await record(tx, 'namespace.updated', after, origin, changes);
      const isContent = 'extends' in changes.after || 'schema' in changes.after;
      if (after.latestVersion > 0 && isContent) {
        await queue.refresh(tx, after.id, { settings: Object.keys(changes.after).sort() });
      }
      return after;
    },

    /** Deletes a namespace with its versions and secrets; 409 while others extend it. */
    async deleteNamespace(tx: Tx, input: NamespaceName & { origin: Origin }): Promise<void> {
      const found = await getNamespace(tx, input);
      await lockInheritance(tx, input.organization);
      const namespace = await findNamespaceForUpdate(tx, found.id);
      if (!namespace) throw notFound();
      const dependents = await listDependents(tx, namespace.id, { limit: 11 });
      if (dependents.length > 0) {
        const shown = dependents.slice(0, 10).map((one) => `${one.service}/${one.name}`);
        throw namespaceInUse(`It is extended by ${shown.join(', ')}${dependents.length > 10 ? ' and more' : ''}.`);
      }
      await deleteNamespaceRow(tx, namespace.id);
      await record(tx, 'namespace.deleted', namespace, input.origin, { version: namespace.latestVersion });
    },

    /** For the deletion of a service, whose row is locked: 409 while other services extend its namespaces. */
    async serviceDeleting(tx: Tx, service: { id: string; organization: string }): Promise<void> {
      await lockInheritance(tx, service.organization);
      await assertNotExtendedByOthers(tx, service.id);
      await deleteExtensionsOfService(tx, service.id);
    },
  };

  /** A change of what is inherited is a publication, and may carry secrets on to other services. */
  async function changeExtensions(
    tx: Tx,
    before: Namespace,
    wanted: readonly string[],
    permissions: ReadonlySet<Permission>,
  ): Promise<void> {
    if (before.latestVersion > 0) {
      assertMay(permissions, 'configuration:publish', 'To change "extends", which publishes a new version');
      if (before.reviewRequired) {
        throw new AppError('configuration.review_required', {
          detail: 'A change of "extends" is published at once, past the review. Switch review_required off for it.',
        });
      }
    }
    const isMore = wanted.some((one) => !before.extends.includes(one));
    if (isMore && !permissions.has('configuration:reveal') && (await isPassedOn(tx, before.id))) {
      assertMay(permissions, 'configuration:reveal', 'To extend more in a namespace that other services can extend');
    }
    await setExtensions(tx, before, wanted);
  }
}

/** What {@link createNamespaces} gives. */
export type Namespaces = ReturnType<typeof createNamespaces>;

const sharing = 'To share a namespace, which gives its secrets to the agents of other services,';

function assertMay(permissions: ReadonlySet<Permission>, permission: Permission, what: string): void {
  if (permissions.has(permission)) return;
  throw new AppError('kernel.forbidden', { detail: `${what} the permission ${permission} is needed.` });
}

function notFound(): AppError {
  return new AppError('kernel.not_found', { detail: 'There is no namespace of this name.' });
}

function sameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index]);
}

/** Settings for the audit: a schema by its hash. */
function describe(settings: NamespaceSettings): JsonObject {
  const { schema } = settings;
  return {
    extends: [...settings.extends],
    shared: settings.shared,
    schema: schema === undefined ? null : `sha256:${createHash('sha256').update(canonicalJson(schema)).digest('hex')}`,
    review_required: settings.reviewRequired,
    labels: { ...settings.labels },
  };
}

function changesOf(before: JsonObject, after: JsonObject): { before: JsonObject; after: JsonObject } {
  const changed = Object.keys(after).filter(
    (name) => canonicalJson(before[name] as never) !== canonicalJson(after[name] as never),
  );
  const pick = (from: JsonObject) => Object.fromEntries(changed.map((name) => [name, from[name] ?? null]));
  return { before: pick(before), after: pick(after) };
}
