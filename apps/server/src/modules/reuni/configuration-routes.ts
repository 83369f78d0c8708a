import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { isJsonObject } from '@gatehouse/crypto';
import { AppError, type Db, type Reader } from '../../kernel/index.ts';
import { type Configuration, type Namespace, readWritten, type Version } from '../configuration/index.ts';
import { forbidden } from './access.ts';
import { type Answer, created, inWords } from './answer.ts';
import { badRequest, integerOf, textOf } from './body.ts';
import type { Directory } from './directory.ts';
import { assertName } from './names.ts';
import type { Routes } from './route.ts';
import { configurationOf, differenceOf, hasSecrets, textsOf } from './texts.ts';

/** Namespaces, versions, and what agents ask for. */
export function configurationRoutes(
  routes: Routes,
  {
    db,
    configuration: { namespaces, versions, agents },
    directory,
  }: { db: Db; configuration: Configuration; directory: Directory },
): void {
  const getVersion = async (tx: Reader, namespace: Namespace, version: number): Promise<Version> => {
    const found = await versions.findVersion(tx, namespace.id, version);
    if (!found) throw new AppError('kernel.not_found', { detail: `There is no version ${version}.` });
    return found;
  };

  const show = async (tx: Reader, version: Version): Promise<JsonObject> => ({
    version: version.version,
    parent_version: version.parentVersion,
    configuration: textsOf(version),
    created_by: (await directory.namesOf(tx, [version.createdBy])).get(version.createdBy) ?? version.createdBy,
  });

  const newestOf = ({ latestVersion }: Namespace): Answer => {
    if (latestVersion === 0) throw new AppError('kernel.not_found', { detail: 'The namespace has no version yet.' });
    return { status: 200, json: { version: latestVersion } };
  };

  const listAll = async (tx: Reader, organization: string, service: string): Promise<Namespace[]> => {
    const all: Namespace[] = [];
    const limit = 200;
    for (let count = limit; count === limit; ) {
      const afterName = all.at(-1)?.name;
      const page = await namespaces.listNamespaces(tx, organization, service, { afterName, limit });
      all.push(...page);
      count = page.length;
    }
    return all;
  };

  routes.member('read', {
    method: 'GET',
    path: '/:organization/:service/namespaces',
    operationId: 'reuniListNamespaces',
    summary: 'Namespaces of a service',
    async handle({ who: { organization }, service }) {
      const listed = await db.transaction(async (tx) => {
        const found = await listAll(tx, organization, service);
        const organizationId = await directory.organizationId(tx, organization);
        const names = await directory.namesOf(
          tx,
          found.map(({ createdBy }) => createdBy),
        );
        return found.map((namespace) => ({
          organization_id: organizationId,
          service_name: namespace.service,
          namespace: namespace.name,
          version: namespace.latestVersion,
          created_by: names.get(namespace.createdBy) ?? namespace.createdBy,
          created_at: namespace.createdAt.toISOString(),
          updated_at: namespace.updatedAt.toISOString(),
        }));
      });
      return { status: 200, json: listed };
    },
  });

  routes.member('write', {
    method: 'POST',
    path: '/:organization/:service/namespaces',
    operationId: 'reuniCreateNamespace',
    summary: 'Make a namespace with its version 1',
    async handle({ who, service, body }) {
      const sent = body();
      const name = textOf(sent, 'namespace');
      assertName(name, 'Namespace');
      const configurations = sent['configurations'] ?? null;
      const isEmpty = isJsonObject(configurations) && Object.keys(configurations).join() === '' && '' in configurations;
      if (configurations === null || isEmpty) throw badRequest('Configuration cant be empty');
      if (!isJsonObject(configurations)) throw badRequest('configurations must be an object');
      const configuration = readWritten(configurations);
      const { organization, granter, origin } = who;
      const making = db.transaction(async (tx) => {
        const namespace = await namespaces.createNamespace(tx, { organization, service, name, origin });
        await versions.publishVersion(tx, { namespace, parentVersion: 0, configuration, granter, origin });
      });
      await inWords(['configuration.namespace_exists'], 'Namespace already exist for the service', making);
      return created;
    },
  });

  routes.member('read', {
    method: 'GET',
    path: '/:organization/:service/:namespace/versions',
    operationId: 'reuniListVersions',
    summary: 'Numbers of all versions',
    async handle({ who: { organization }, service, namespace: name }) {
      const { latestVersion } = await db.read((tx) => namespaces.getNamespace(tx, { organization, service, name }));
      // Numbers have no gap: the newest says them all.
      return { status: 200, json: { versions: Array.from({ length: latestVersion }, (_, index) => index + 1) } };
    },
  });

  routes.member('read', {
    method: 'GET',
    path: '/:organization/:service/:namespace/latest',
    operationId: 'reuniGetLatestVersion',
    summary: 'Number of the newest version',
    async handle({ who: { organization }, service, namespace: name }) {
      return newestOf(await db.read((tx) => namespaces.getNamespace(tx, { organization, service, name })));
    },
  });

  routes.member('read', {
    method: 'GET',
    path: '/:organization/:service/:namespace/:version',
    operationId: 'reuniGetVersion',
    summary: 'One version; secrets by fingerprint, everything as text',
    async handle({ who: { organization }, service, namespace: name, version }) {
      const number = versionNumber(version);
      if (number === undefined) return cannotParse;
      const json = await db.read(async (tx) =>
        show(tx, await getVersion(tx, await namespaces.getNamespace(tx, { organization, service, name }), number)),
      );
      return { status: 200, json };
    },
  });

  routes.member('read', {
    method: 'GET',
    path: '/:organization/:service/:namespace/:version/compare',
    operationId: 'reuniCompareVersion',
    summary: 'What differs from the parent version and from the one before',
    async handle({ who: { organization }, service, namespace: name, version }) {
      const number = versionNumber(version);
      if (number === undefined) return cannotParse;
      const json = await db.read(async (tx) => {
        const namespace = await namespaces.getNamespace(tx, { organization, service, name });
        const after = await getVersion(tx, namespace, number);
        const compared: [string, JsonValue][] = [];
        for (const [kind, other] of [
          ['parent', after.parentVersion],
          ['previous', number - 1],
        ] as const) {
          if (other === 0) continue;
          compared.push([`dif-${kind}-${other}`, differenceOf(await getVersion(tx, namespace, other), after)]);
        }
        return Object.fromEntries(compared);
      });
      return { status: 200, json };
    },
  });

  routes.member('write', {
    method: 'POST',
    path: '/:organization/:service/:namespace',
    operationId: 'reuniCreateVersion',
    summary: 'Publish a version on top of the newest, whichever its parent',
    async handle({ who, service, namespace: name, body }) {
      const sent = body();
      const parent = integerOf(sent, 'parent_version');
      if (parent < 0) throw badRequest('parent_version must not be negative');
      const texts = readTexts(sent['configuration'] ?? null);
      const { organization, granter, origin } = who;
      const version = await db.transaction(async (tx) => {
        const namespace = await namespaces.getNamespace(tx, { organization, service, name });
        if (namespace.reviewRequired) throw reviewRequired(namespace);
        // The command line names no parent: it has just read the newest version.
        const base = await versions.findVersion(tx, namespace.id, parent === 0 ? namespace.latestVersion : parent);
        const written = readWritten(configurationOf(texts, base));
        const keeps = [...written.values()].some(({ kind }) => kind === 'keep');
        return versions.publishVersion(tx, {
          namespace,
          // A secret can be kept only from a version that is named.
          parentVersion: parent === 0 && keeps ? 'latest' : parent,
          allowOlderParent: true,
          configuration: written,
          granter,
          origin,
        });
      });
      return { status: 201, text: String(version.version) };
    },
  });

  /** Whose token it is has to be the service in the path. All refusals are alike, so that nothing can be told from them. */
  const agent = async (
    request: { headers: { authorization?: string | undefined } },
    { organization, service }: Readonly<Record<string, string>>,
  ): Promise<{ organization: string }> => {
    const caller = await agents.callers.findServiceToken(request.headers.authorization ?? '');
    const isOwn = caller?.organization === organization && caller?.service === service;
    if (!caller || !isOwn || !(await agents.callers.isServiceActive(caller.serviceId))) throw forbidden();
    return { organization: caller.organization };
  };

  routes.agent(
    {
      method: 'GET',
      path: '/:organization/:service/:namespace/agent',
      operationId: 'reuniGetAgentVersion',
      summary: 'Number of the newest version, for an agent',
      async handle({ who: { organization }, service, namespace: name }) {
        return newestOf(await db.read((tx) => namespaces.getNamespace(tx, { organization, service, name })));
      },
    },
    agent,
  );

  routes.agent(
    {
      method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      path: '/:organization/:service/:namespace/:version/agent',
      operationId: 'reuniGetAgentConfiguration',
      summary: 'One version, for an agent; not when it holds secrets',
      async handle({ who: { organization }, service, namespace: name, version }) {
        const number = versionNumber(version);
        if (number === undefined) return cannotParse;
        const json = await db.read(async (tx) => {
          const namespace = await namespaces.getNamespace(tx, { organization, service, name });
          const found = await getVersion(tx, namespace, number);
          if (hasSecrets(found)) throw enrolmentRequired();
          return show(tx, found);
        });
        return { status: 200, json };
      },
    },
    agent,
  );
}

/** A number as the original reads one; undefined for what is none. One that no version has becomes 0. */
function versionNumber(text: string): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const number = Number(text);
  return number >= 1 && number <= 2_147_483_647 ? number : 0;
}

/** The one error that the original wrote in another form; both forms at once. */
const cannotParse: Answer = {
  status: 400,
  json: { error: 'Cannot Parse Version', message: 'Cannot Parse Version', status: 400 },
};

function readTexts(configuration: JsonValue): ReadonlyMap<string, string> {
  if (configuration === null) throw badRequest('Configuration cant be empty');
  if (!isJsonObject(configuration)) throw badRequest('configuration must be an object');
  const texts = new Map<string, string>();
  for (const [key, value] of Object.entries(configuration)) {
    if (typeof value !== 'string') throw badRequest(`configuration.${key.slice(0, 80)} must be a text`);
    texts.set(key, value);
  }
  if (texts.size === 0) throw badRequest('Configuration cant be empty');
  return texts;
}

function reviewRequired({ service, name }: Namespace): AppError {
  return new AppError('configuration.review_required', {
    detail: `A second person reviews versions of this namespace: propose one at /v1/services/${service}/${name}.`,
  });
}

function enrolmentRequired(): AppError {
  return new AppError('configuration.enrolment_required', {
    detail: 'This version holds secrets, which only an enrolled agent gets: use gatehouse run or gatehouse agent.',
  });
}
