import type { DeclarationChange, DeclaredNamespace, JsonObject } from '@gatehouse/contracts';
import type { Tx } from '../../kernel/index.ts';
import { type Configuration, type Namespace, readWritten } from '../configuration/index.ts';
import { atPlace, type Place } from './place.ts';

/** A namespace as it is, in the words of the declaration. */
export interface CurrentNamespace {
  /** Settings by their names in the declaration. */
  readonly settings: JsonObject;
  /** Its newest version; 0 before the first. */
  readonly version: number;
  readonly extends: readonly string[];
  readonly reviewRequired: boolean;
  /** What publishing the declared configuration would change. Of a secret only that it does. */
  readonly changes: readonly DeclarationChange[];
}

/** The parts of the configuration module that say what exists. */
export interface NamespaceSources {
  readonly namespaces: Pick<Configuration['namespaces'], 'listNamespaces'>;
  readonly versions: Pick<Configuration['versions'], 'findVersion'>;
  readonly compareWritten: Configuration['compareWritten'];
}

const pageSize = 500;

/** The namespaces of a service by name, each compared with what is declared. */
export async function readNamespaces(
  tx: Tx,
  configuration: NamespaceSources,
  owner: { organization: string; service: string; path: Place },
  declared: Readonly<Record<string, DeclaredNamespace>>,
): Promise<Map<string, CurrentNamespace>> {
  const { organization, service, path } = owner;
  const found = new Map<string, CurrentNamespace>();
  // A service has at most 200, so one page is all of them.
  const namespaces = await configuration.namespaces.listNamespaces(tx, organization, service, { limit: pageSize });
  for (const namespace of namespaces) {
    const wanted = Object.hasOwn(declared, namespace.name) ? declared[namespace.name]?.configuration : undefined;
    found.set(namespace.name, {
      settings: settingsOf(namespace),
      version: namespace.latestVersion,
      extends: namespace.extends,
      reviewRequired: namespace.reviewRequired,
      changes:
        wanted === undefined
          ? []
          : await atPlace([...path, 'namespaces', namespace.name], () =>
              compareConfiguration(tx, configuration, namespace, wanted as JsonObject),
            ),
    });
  }
  return found;
}

async function compareConfiguration(
  tx: Tx,
  { versions, compareWritten }: NamespaceSources,
  namespace: Namespace,
  wanted: JsonObject,
): Promise<DeclarationChange[]> {
  const written = readWritten(wanted);
  const present =
    namespace.latestVersion === 0 ? undefined : await versions.findVersion(tx, namespace.id, namespace.latestVersion);
  const changes = await compareWritten(tx, namespace, present, written);
  return changes.map(({ key, from, to }) => ({
    field: `configuration.${key}`,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  }));
}

function settingsOf({ shared, schema, reviewRequired, labels, extends: bases }: Namespace): JsonObject {
  return { extends: bases, shared, schema, review_required: reviewRequired, labels: { ...labels } };
}
