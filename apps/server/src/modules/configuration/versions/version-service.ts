import {
  bundleHash,
  ConfigurationError,
  contentHash,
  diffConfigurations,
  parseWritten,
  type WrittenConfiguration,
} from '@gatehouse/configuration';
import type { JsonObject } from '@gatehouse/contracts';
import { AppError, type Clock, type Origin, type Tx } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { type Namespace, namespacePath } from '../namespaces/namespace.ts';
import { advanceVersion, findNamespaceForUpdate } from '../namespaces/namespace-store.ts';
import { toVisible } from '../values/secret-values.ts';
import type { Content, ContentRules } from './content.ts';
import type { StoredConfiguration, Version, VersionKind } from './version.ts';
import { findVersion, insertVersion } from './version-store.ts';

/** What a publication is about, whatever it publishes. */
interface Publication {
  readonly namespace: Pick<Namespace, 'id'>;
  readonly origin: Origin;
  readonly message?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** A new configuration of a namespace. */
export interface NewVersion extends Publication {
  /** The version that the writer has seen; it has to be the newest. `latest` takes whatever that is. */
  readonly parentVersion: number | 'latest';
  readonly configuration: WrittenConfiguration;
  /** The writer may see secrets, so one written with its present value stays the same. */
  readonly mayReveal?: boolean;
  /** The original server's rule: an older version may be the parent, and the last writer wins. */
  readonly allowOlderParent?: boolean;
}

/** The content of an older version, published again. */
export interface Rollback extends Publication {
  readonly restores: number;
  readonly parentVersion?: number | undefined;
  readonly kind?: 'rollback' | 'automatic_rollback';
  readonly cause?: JsonObject | undefined;
}

/** Told in the publishing transaction, after the version is written. */
export type Published = (
  tx: Tx,
  published: { namespace: Namespace; version: Version; previous: Version | undefined },
) => Promise<void>;

/** Publishing: the only way that a version comes to be. */
export function createVersions(deps: {
  clock: Clock;
  audit: Pick<Audit, 'append'>;
  content: ContentRules;
  published: Published;
}) {
  const { clock, audit, content, published } = deps;

  const lock = async (tx: Tx, id: string): Promise<Namespace> => {
    const namespace = await findNamespaceForUpdate(tx, id);
    if (!namespace) throw new AppError('kernel.not_found', { detail: 'There is no namespace of this name.' });
    return namespace;
  };

  const write = async (
    tx: Tx,
    namespace: Namespace,
    previous: Version | undefined,
    version: {
      own: StoredConfiguration;
      content: Content;
      parentVersion: number;
      kind: VersionKind;
      restores?: number | undefined;
      cause?: JsonObject | undefined;
    } & Omit<Publication, 'namespace'>,
  ): Promise<Version> => {
    const now = clock.now();
    const number = namespace.latestVersion + 1;
    const visible = toVisible(version.content.effective);
    const content_hash = contentHash(visible);
    const previousHash = previous?.hash ?? '';
    const made: Version = {
      namespaceId: namespace.id,
      version: number,
      parentVersion: version.parentVersion,
      own: version.own,
      effective: version.content.effective,
      sources: version.content.sources,
      contentHash: content_hash,
      hash: bundleHash({
        organization: namespace.organization,
        service: namespace.service,
        namespace: namespace.name,
        version: number,
        previous_hash: previousHash,
        content_hash,
      }),
      previousHash,
      kind: version.kind,
      restores: version.restores,
      cause: version.cause,
      message: version.message,
      labels: version.labels ?? {},
      createdAt: now,
      createdBy: version.origin.actor.id,
    };
    if (!(await advanceVersion(tx, namespace.id, number, now))) {
      throw new Error(`configuration: ${namespace.id} moved on although it is locked`);
    }
    await insertVersion(tx, made);
    const { created, changed, deleted } = diffConfigurations(toVisible(previous?.effective ?? {}), visible);
    await audit.append(tx, {
      action: 'configuration.published',
      organization: namespace.organization,
      origin: version.origin,
      target: { type: 'namespace', id: namespacePath(namespace) },
      details: {
        service: namespace.service,
        namespace: namespace.name,
        version: number,
        parent_version: version.parentVersion,
        kind: version.kind,
        restores: version.restores,
        cause: version.cause,
        created: Object.keys(created).length,
        changed: Object.keys(changed).length,
        deleted: Object.keys(deleted).length,
      },
    });
    await published(tx, { namespace: { ...namespace, latestVersion: number }, version: made, previous });
    return made;
  };

  return {
    findVersion,

    /** Publishes a new configuration; 409 that names both versions when another was published in the meantime. */
    async publishVersion(tx: Tx, input: NewVersion): Promise<Version> {
      const namespace = await lock(tx, input.namespace.id);
      const latest = namespace.latestVersion;
      const parentVersion = input.parentVersion === 'latest' ? latest : input.parentVersion;
      if (parentVersion > latest || (parentVersion !== latest && !input.allowOlderParent)) {
        throw versionConflict(parentVersion, latest);
      }
      const previous = await findVersion(tx, namespace.id, latest);
      const parent = parentVersion === latest ? previous : await findVersion(tx, namespace.id, parentVersion);
      const mayCompare = input.mayReveal === true;
      const own = await content.store(tx, namespace, input.configuration, { parent, mayCompare });
      const composed = await content.compose(tx, namespace, own, previous);
      return write(tx, namespace, previous, { ...input, own, content: composed, parentVersion, kind: 'author' });
    },

    /**
     * Publishes the content of an older version again: its own values and, as they were, the inherited ones. What refers
     * to a key or a client secret names the present one, for the old one may be gone.
     */
    async rollback(tx: Tx, input: Rollback): Promise<Version> {
      const namespace = await lock(tx, input.namespace.id);
      const latest = namespace.latestVersion;
      if (input.parentVersion !== undefined && input.parentVersion !== latest) {
        throw versionConflict(input.parentVersion, latest);
      }
      const previous = await findVersion(tx, namespace.id, latest);
      const restored = await findVersion(tx, namespace.id, input.restores);
      if (!restored) {
        throw new AppError('kernel.not_found', {
          detail: `There is no version ${input.restores}; the newest is ${latest}.`,
        });
      }
      const { own, effective, sources } = restored;
      return write(tx, namespace, previous, {
        ...input,
        own,
        content: { effective, sources },
        parentVersion: latest,
        kind: input.kind ?? 'rollback',
      });
    },
  };
}

/** What {@link createVersions} gives. */
export type Versions = ReturnType<typeof createVersions>;

/** Reads a configuration as it was written; 400 with every problem by its path. */
export function readWritten(configuration: JsonObject): WrittenConfiguration {
  try {
    return parseWritten(configuration);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const [first] = error.problems;
    throw new AppError('configuration.invalid', {
      detail: first ? `${first.field} ${first.rule}` : 'The configuration is not valid.',
      errors: error.problems,
    });
  }
}

/** 409 for who has not seen the newest version. */
export function versionConflict(parentVersion: number, latestVersion: number): AppError {
  return new AppError('configuration.version_conflict', {
    detail: `You started from version ${parentVersion}; version ${latestVersion} is the newest. Read it, and publish on top of it.`,
    extensions: { parent_version: parentVersion, latest_version: latestVersion },
  });
}
