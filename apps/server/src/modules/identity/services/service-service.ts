import { builtInRoles } from '@gatehouse/contracts';
import {
  AppError,
  type Changes,
  type Clock,
  invalidField,
  isUniqueViolation,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { type Granter, operatorOrganization } from '../deps.ts';
import { assertCovers } from '../roles/role-rules.ts';
import type { Roles } from '../roles/role-service.ts';
import { listRolesOfServices } from '../roles/role-store.ts';
import type { Service, ServiceSettings } from './service.ts';
import { type ServiceShape, serviceChanges } from './service-audit.ts';
import { createServiceRoles } from './service-roles.ts';
import { assertServiceSettings } from './service-rules.ts';
import { createServiceSecrets } from './service-secrets.ts';
import {
  deleteSecretRow,
  deleteServiceRow,
  findActiveService,
  findService,
  findServiceForUpdate,
  insertService,
  isAudienceTaken,
  listActiveServices,
  listSecrets,
  listServices,
  listServicesByAudience,
  takeServiceSubject,
  updateService,
  updateServiceStatus,
} from './service-store.ts';

/** Which service is changed, and by whom. */
export interface ServiceChange {
  organization: string;
  name: string;
  granter: Granter;
  origin: Origin;
}

/** A service to be registered; what is left out has a safe default. */
export interface NewService extends ServiceChange {
  settings: Partial<ServiceSettings>;
  /** Roles of the service, without its name in front: `reader` becomes `records:reader`. */
  roles?: readonly string[] | undefined;
  /** Roles of its own account: what its client-credentials tokens may do. */
  accountRoles?: readonly string[] | undefined;
  /** Instead of a generated one. */
  clientSecret?: string | undefined;
}

/** A service just registered; the secret is shown this once. */
export interface RegisteredService {
  service: Service;
  clientSecret?: string;
}

/** The registered services. */
export interface Services {
  findService(tx: Reader, organization: string, name: string): Promise<Service | undefined>;
  getService(tx: Reader, organization: string, name: string): Promise<Service>;
  /** An active service of an active organization. */
  findServiceByClientId(tx: Reader, clientId: string): Promise<Service | undefined>;
  /** Active services with one of these audiences, in one organization or in all. */
  findServicesByAudience(
    tx: Reader,
    organization: string | undefined,
    audiences: readonly string[],
  ): Promise<Service[]>;
  /** Those of these services, by id, that are active in an active organization. */
  listActiveServices: typeof listActiveServices;
  /** Services of an organization by name. */
  listServices: typeof listServices;
  /** Secrets by service id, as anybody but their owner sees them. */
  listSecrets: typeof listSecrets;
  createService(tx: Tx, input: NewService): Promise<RegisteredService>;
  updateService(
    tx: Tx,
    change: ServiceChange & {
      settings: Partial<ServiceSettings>;
      roles?: readonly string[] | undefined;
      accountRoles?: readonly string[] | undefined;
    },
  ): Promise<Service>;
  /** Adds a secret beside the present one; shown this once. */
  addSecret(
    tx: Tx,
    change: ServiceChange & { secret?: string | undefined; expiresAt?: Date | undefined },
  ): Promise<{ id: string; clientSecret: string; createdAt: Date }>;
  deleteSecret(tx: Tx, change: ServiceChange & { secretId: string }): Promise<void>;
  /** True when this is one of the service's living secrets; compared in constant time. */
  verifyServiceSecret(tx: Reader, service: Pick<Service, 'id'>, secret: string): Promise<boolean>;
  suspendService(tx: Tx, change: ServiceChange): Promise<Service>;
  restoreService(tx: Tx, change: ServiceChange): Promise<Service>;
  deleteService(tx: Tx, change: ServiceChange): Promise<void>;
}

/** What a module above does in the transaction of a change of a service, or refuses by throwing. */
export interface ServiceHooks {
  /** Before a service is deleted; its row is locked. */
  readonly serviceDeleting: (tx: Tx, service: Service) => Promise<void>;
  /** After a secret was added. */
  readonly secretAdded: (
    tx: Tx,
    service: Service,
    secret: { id: string; clientSecret: string; expiresAt: Date | undefined },
  ) => Promise<void>;
  /** Before a secret is deleted. */
  readonly secretDeleting: (tx: Tx, service: Service, secretId: string) => Promise<void>;
}

/** Creates the registry. Every change is told to all nodes (topic `services`). */
export function createServices(deps: {
  clock: Clock;
  random: Pick<Random, 'id' | 'bytes'>;
  audit: Pick<Audit, 'append'>;
  changes: Pick<Changes, 'touch'>;
  roles: Pick<Roles, 'grantable' | 'resolve'>;
  publicUrl: string;
  allowPrivateNetworks: readonly string[];
  signatureAlgorithms: () => readonly string[];
  serviceHooks: ServiceHooks;
}): Services {
  const { clock, random, audit, changes, roles, publicUrl, allowPrivateNetworks, signatureAlgorithms, serviceHooks } =
    deps;
  const secrets = createServiceSecrets(deps);
  const serviceRoles = createServiceRoles(deps);

  const notFound = () => new AppError('kernel.not_found', { detail: 'There is no service of this name.' });

  const getService = async (tx: Reader, organization: string, name: string) => {
    const service = await findService(tx, organization, name);
    if (!service) throw notFound();
    return service;
  };

  /** The locked service. Whoever controls it can act as its account, so the caller must have that account's rights. */
  const getForChange = async (tx: Tx, { organization, name, granter }: ServiceChange) => {
    const service = await findServiceForUpdate(tx, organization, name);
    if (!service) throw notFound();
    assertCovers(granter, await roles.resolve(tx, organization, service.roleIds));
    assertMaySteer(granter, service);
    return service;
  };

  const assertSettings = (settings: ServiceSettings, clientId: string) =>
    assertServiceSettings(settings, {
      publicUrl,
      allowPrivateNetworks,
      signatureAlgorithms: signatureAlgorithms(),
      clientId,
    });

  const assertAudienceFree = async (tx: Tx, organization: string, audience: string, exceptId: string) => {
    if (await isAudienceTaken(tx, organization, audience, exceptId)) throw audienceTaken();
  };

  const record = async (tx: Tx, action: string, service: Service, origin: Origin, details = {}) => {
    await changes.touch(tx, 'services');
    await audit.append(tx, {
      action,
      organization: service.organization,
      origin,
      target: { type: 'service', id: service.clientId },
      details,
    });
  };

  /**
   * Roles of a service's own account. A role inside another service holds no permission here, so having permissions does
   * not cover it: it is given by those who give roles to users (`users:write`), unless the account has it already.
   */
  const accountRoleIds = async (
    tx: Tx,
    change: ServiceChange,
    names: readonly string[],
    present: readonly string[] = [],
  ) => {
    const { organization, name, granter } = change;
    const granted = await roles.grantable(tx, { organization, names, granter });
    const elsewhere = granted.some(
      ({ id, service }) => service !== undefined && service !== name && !present.includes(id),
    );
    if (elsewhere) assertCovers(granter, { permissions: ['users:write'], operator: false });
    return granted.map((role) => role.id);
  };

  const shapeOf = async (tx: Tx, service: Service): Promise<ServiceShape> => ({
    ...service,
    roles: (await listRolesOfServices(tx, service.organization, [service.name])).map((role) =>
      role.name.slice(service.name.length + 1),
    ),
    accountRoles: (await roles.resolve(tx, service.organization, service.roleIds)).names,
  });

  const setStatus = async (tx: Tx, change: ServiceChange, status: Service['status'], action: string) => {
    const service = await getForChange(tx, change);
    if (service.status === status) return service;
    const changed = await updateServiceStatus(tx, service.id, status);
    await record(tx, action, changed, change.origin);
    return changed;
  };

  return {
    findService,
    getService,
    findServiceByClientId: findActiveService,
    findServicesByAudience: async (tx, organization, audiences) =>
      audiences.length === 0 ? [] : listServicesByAudience(tx, organization, audiences),
    listActiveServices,
    listServices,
    listSecrets,
    async createService(tx, input) {
      const { organization, name, origin } = input;
      const clientId = `${organization}.${name}`;
      const settings: ServiceSettings = {
        ...defaults(clientId, signatureAlgorithms()),
        ...withoutUndefined(input.settings),
      };
      assertSettings(settings, clientId);
      assertMaySteer(input.granter, { ...settings, organization });
      if (input.clientSecret !== undefined && settings.authentication !== 'client_secret') {
        throw invalidField(
          'client_secret',
          'is given although the service does not authenticate with one',
          'leave it out',
        );
      }
      const createdAt = clock.now();
      if (!(await takeServiceSubject(tx, clientId, createdAt))) {
        throw new AppError('identity.service_exists', {
          detail: `A user has the uid ${clientId}. Choose another name.`,
        });
      }
      await assertAudienceFree(tx, organization, settings.audience, '');
      const roleIds = await accountRoleIds(tx, input, input.accountRoles ?? []);
      const service = await audienceGuard(() =>
        insertService(tx, {
          ...settings,
          id: random.id('svc'),
          organization,
          name,
          clientId,
          roleIds,
          createdAt,
          createdBy: origin.actor.id,
        }),
      );
      if (!service) {
        throw new AppError('identity.service_exists', {
          detail: `Choose another name than ${name}, or change that service.`,
        });
      }
      await serviceRoles.set(tx, input, input.roles ?? []);
      const secret =
        service.authentication === 'client_secret'
          ? await secrets.add(tx, { service, origin, secret: input.clientSecret })
          : undefined;
      await record(tx, 'service.created', service, origin, {
        name,
        audience: service.audience,
        authentication: service.authentication,
        grants: [...service.grants],
        first_party: service.firstParty,
        pop_url: service.popUrl,
        account_roles: [...(input.accountRoles ?? [])],
      });
      return secret === undefined ? { service } : { service, clientSecret: secret.clientSecret };
    },
    async updateService(tx, change) {
      const before = await getForChange(tx, change);
      const settings: ServiceSettings = { ...before, ...change.settings };
      assertSettings(settings, before.clientId);
      assertMaySteer(change.granter, { ...settings, organization: before.organization });
      await assertAudienceFree(tx, before.organization, settings.audience, before.id);
      const roleIds =
        change.accountRoles === undefined
          ? before.roleIds
          : await accountRoleIds(tx, change, change.accountRoles, before.roleIds);
      const shapeBefore = await shapeOf(tx, before);
      if (change.roles !== undefined) await serviceRoles.set(tx, change, change.roles);
      const after = await audienceGuard(() => updateService(tx, before.id, { ...settings, roleIds }));
      await record(tx, 'service.updated', after, change.origin, serviceChanges(shapeBefore, await shapeOf(tx, after)));
      return after;
    },
    async addSecret(tx, change) {
      const service = await getForChange(tx, change);
      if (service.authentication !== 'client_secret') {
        throw new AppError('kernel.conflict', {
          detail: `The service authenticates by ${service.authentication}. Change that first.`,
        });
      }
      const secret = await secrets.add(tx, { ...change, service });
      await record(tx, 'service.secret_added', service, change.origin, { secret_id: secret.id });
      const { id, clientSecret } = secret;
      await serviceHooks.secretAdded(tx, service, { id, clientSecret, expiresAt: change.expiresAt });
      return secret;
    },
    async deleteSecret(tx, change) {
      const service = await getForChange(tx, change);
      await serviceHooks.secretDeleting(tx, service, change.secretId);
      if (!(await deleteSecretRow(tx, service.id, change.secretId))) {
        throw new AppError('kernel.not_found', { detail: 'The service has no secret with this id.' });
      }
      await record(tx, 'service.secret_deleted', service, change.origin, { secret_id: change.secretId });
    },
    verifyServiceSecret: (tx, service, secret) => secrets.verify(tx, service.id, secret),
    suspendService: (tx, change) => setStatus(tx, change, 'suspended', 'service.suspended'),
    restoreService: (tx, change) => setStatus(tx, change, 'active', 'service.restored'),
    async deleteService(tx, change) {
      const service = await getForChange(tx, change);
      await serviceHooks.serviceDeleting(tx, service);
      await serviceRoles.removeAll(tx, change, service.id);
      await deleteServiceRow(tx, service.id);
      await record(tx, 'service.deleted', service, change.origin, { name: service.name });
    },
  };
}

function defaults(clientId: string, algorithms: readonly string[]): ServiceSettings {
  return {
    audience: clientId,
    authentication: 'client_secret',
    popUrl: undefined,
    jwks: undefined,
    grants: [],
    redirectUris: [],
    postLogoutRedirectUris: [],
    firstParty: false,
    idTokenAlgorithm: algorithms.includes('ES256') ? 'ES256' : (algorithms[0] ?? 'ES256'),
  };
}

/**
 * People are not asked before a first-party service acts for them, so it acts with the rights of whoever signs in, an
 * administrator's too. Only those who have all of these make one, or decide where its codes go.
 */
function assertMaySteer(granter: Granter, service: Pick<Service, 'organization' | 'firstParty'>): void {
  if (!service.firstParty) return;
  assertCovers(granter, { permissions: builtInRoles.admin, operator: service.organization === operatorOrganization });
}

function withoutUndefined(settings: Partial<ServiceSettings>): Partial<ServiceSettings> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

function audienceTaken(): AppError {
  return new AppError('identity.audience_taken', { detail: 'Another service of the organization has this audience.' });
}

/** Two that claim one audience at the same time meet at the unique key. */
async function audienceGuard<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isUniqueViolation(error, 'services_organization_audience_key')) throw audienceTaken();
    throw error;
  }
}
