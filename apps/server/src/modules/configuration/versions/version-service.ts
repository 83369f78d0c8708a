import { contentHash, isVisibleSecret, type WrittenConfiguration } from '@gatehouse/configuration';
import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { AppError, type Clock, type FieldError, type Origin, type Tx } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Granter } from '../../identity/index.ts';
import type { Namespace } from '../namespaces/namespace.ts';
import { findNamespaceById, findNamespaceForUpdate } from '../namespaces/namespace-store.ts';
import type { ClientSecrets } from '../references/client-secrets.ts';
import { refersToClientSecret, writesClientSecret } from '../references/reference.ts';
import type { Schemas } from '../schemas/schemas.ts';
import type { ContentRules, Draft, Own } from './content.ts';
import type { RefreshQueue } from './refresh-queue.ts';
import type { StoredConfiguration, Version } from './version.ts';
import { findVersion } from './version-store.ts';
import { createVersionWriter, type Published } from './version-writer.ts';
import { versionConflict } from './written.ts';

/** What a publication is about, whatever it publishes. */
interface Publication {
  readonly namespace: Pick<Namespace, 'id'>;
  readonly origin: Origin;
  /** Who answers for a secret that has to be added to the service: the first reference to it. */
  readonly granter?: Granter | undefined;
  readonly message?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Who wrote it, when that is not who publishes it. */
  readonly author?: string | undefined;
  readonly cause?: JsonObject | undefined;
  /** A second person has agreed; without that a namespace that wants it refuses. */
  readonly reviewed?: boolean | undefined;
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

/** A configuration that was stored before, with a proposal. */
export interface StoredVersion extends Publication {
  readonly parentVersion: number;
  /** Runs when the namespace is locked, before anything is written. */
  readonly whenLocked?: (tx: Tx) => Promise<void>;
  readonly own: StoredConfiguration;
}

/** The content of an older version, published again. */
export interface Rollback extends Publication {
  readonly restores: number;
  readonly parentVersion?: number | undefined;
  readonly kind?: 'rollback' | 'automatic_rollback';
  readonly whenLocked?: (tx: Tx) => Promise<void>;
}

/** Publishing: the only way that a version comes to be. */
export function createVersions(deps: {
  clock: Clock;
  audit: Pick<Audit, 'append'>;
  content: ContentRules;
  schemas: Pick<Schemas, 'check'>;
  clientSecrets: Pick<ClientSecrets, 'ensure'>;
  queue: Pick<RefreshQueue, 'fanOut'>;
  published: Published;
}) {
  const { clock, audit, content, schemas, clientSecrets, queue, published } = deps;

  const lock = async (tx: Tx, id: string): Promise<Namespace> => {
    const namespace = await findNamespaceForUpdate(tx, id);
    if (!namespace) throw noNamespace();
    return namespace;
  };

  /** The secret that is referred to: made, if need be, before the namespace is locked. */
  const ensureClientSecret = async (tx: Tx, { namespace, granter, origin }: Publication): Promise<void> => {
    const found = await findNamespaceById(tx, namespace.id);
    if (!found) throw noNamespace();
    await clientSecrets.ensure(tx, found, { granter, origin });
  };

  const write = createVersionWriter({ clock, audit, queue, published });

  /** What of a draft does not fit the schema of the namespace. Only secrets of this request are looked at. */
  const misfits = (
    namespace: Namespace,
    draft: Draft,
    fresh: ReadonlyMap<string, JsonValue> = new Map(),
  ): FieldError[] =>
    schemas.check(
      namespace.schema,
      new Map(
        Object.entries(draft.visible).map(([key, value]) => {
          if (!isVisibleSecret(value)) return [key, { value }];
          const written = draft.sources[key]?.kind === 'own' ? fresh.get(key) : undefined;
          return [key, written === undefined ? { value: null, hidden: true } : { value: written, isSecret: true }];
        }),
      ),
    );

  const assertFits = (namespace: Namespace, draft: Draft, fresh?: ReadonlyMap<string, JsonValue>): void => {
    const errors = misfits(namespace, draft, fresh);
    if (errors.length > 0) throw schemaViolated(errors);
  };

  /** The newest version, and the one that the writer has seen: 409 when it is another. */
  const stateOf = async (tx: Tx, namespace: Namespace, wanted: number | 'latest', allowOlder = false) => {
    const latest = namespace.latestVersion;
    const parentVersion = wanted === 'latest' ? latest : wanted;
    if (parentVersion > latest || (parentVersion !== latest && !allowOlder)) {
      throw versionConflict(parentVersion, latest);
    }
    const previous = await findVersion(tx, namespace.id, latest);
    const parent = parentVersion === latest ? previous : await findVersion(tx, namespace.id, parentVersion);
    return { parentVersion, previous, parent };
  };

  /** The content of a rollback. */
  const restore = async (tx: Tx, namespace: Namespace, restores: number) => {
    const latest = namespace.latestVersion;
    const previous = await findVersion(tx, namespace.id, latest);
    const restored = await findVersion(tx, namespace.id, restores);
    if (!restored) throw noSuchVersion(restores, latest);
    const draft = await content.compose(tx, namespace, restored.own, { previous, restored });
    return { previous, restored, draft };
  };

  return {
    findVersion,

    /** Publishes a new configuration; 409 that names both versions when another was published in the meantime. */
    async publishVersion(tx: Tx, input: NewVersion): Promise<Version> {
      if (writesClientSecret(input.configuration)) await ensureClientSecret(tx, input);
      const namespace = await lock(tx, input.namespace.id);
      assertReviewed(namespace, input.reviewed);
      const { parentVersion, previous, parent } = await stateOf(
        tx,
        namespace,
        input.parentVersion,
        input.allowOlderParent,
      );
      const mayCompare = input.mayReveal === true;
      const { own, fresh } = await content.store(tx, namespace, input.configuration, { parent, mayCompare });
      const draft = await content.compose(tx, namespace, own, { previous });
      assertFits(namespace, draft, fresh);
      return write(tx, namespace, previous, { ...input, own, draft, parentVersion, kind: 'author' });
    },

    /** Judges and stores what may be published later: nothing of it is seen by agents. Secrets are sealed. */
    async prepare(
      tx: Tx,
      input: Pick<NewVersion, 'namespace' | 'parentVersion' | 'configuration' | 'mayReveal'>,
    ): Promise<Own & { namespace: Namespace; parentVersion: number }> {
      const namespace = await lock(tx, input.namespace.id);
      const { parentVersion, previous, parent } = await stateOf(tx, namespace, input.parentVersion);
      const mayCompare = input.mayReveal === true;
      const made = await content.store(tx, namespace, input.configuration, { parent, mayCompare });
      // A client secret may have to be made first, by whoever publishes; till then only presence counts.
      if (!refersToClientSecret(made.own)) {
        const draft = await content.compose(tx, namespace, made.own, { previous });
        assertFits(namespace, draft, made.fresh);
      }
      return { ...made, namespace, parentVersion };
    },

    /** Judges a rollback that may be published later. */
    async prepareRollback(
      tx: Tx,
      input: { namespace: Pick<Namespace, 'id'>; restores: number; parentVersion?: number | undefined },
    ): Promise<{ namespace: Namespace; parentVersion: number }> {
      const namespace = await lock(tx, input.namespace.id);
      const { parentVersion } = await stateOf(tx, namespace, input.parentVersion ?? 'latest');
      const restored = await findVersion(tx, namespace.id, input.restores);
      if (!restored) throw noSuchVersion(input.restores, namespace.latestVersion);
      if (!refersToClientSecret(restored.own))
        assertFits(namespace, (await restore(tx, namespace, input.restores)).draft);
      return { namespace, parentVersion };
    },

    /** Publishes what {@link prepare} stored. Its secrets are looked at no more: they are another person's. */
    async publishStored(tx: Tx, input: StoredVersion): Promise<Version> {
      if (refersToClientSecret(input.own)) await ensureClientSecret(tx, input);
      const namespace = await lock(tx, input.namespace.id);
      await input.whenLocked?.(tx);
      assertReviewed(namespace, input.reviewed);
      const { parentVersion, previous } = await stateOf(tx, namespace, input.parentVersion);
      const draft = await content.compose(tx, namespace, input.own, { previous });
      assertFits(namespace, draft);
      return write(tx, namespace, previous, { ...input, draft, parentVersion, kind: 'author' });
    },

    /**
     * Publishes the content of an older version again: its own values and, as they were, the inherited ones. What refers
     * to a key or a client secret names the present one, for the old one may be gone. An automatic rollback goes back to
     * what ran, and is not held up by a schema.
     */
    async rollback(tx: Tx, input: Rollback): Promise<Version> {
      const { restores, kind = 'rollback' } = input;
      const restored = await findVersion(tx, input.namespace.id, restores);
      if (restored && refersToClientSecret(restored.own)) {
        const granter = kind === 'automatic_rollback' ? 'system' : input.granter;
        await ensureClientSecret(tx, { ...input, granter });
      }
      const namespace = await lock(tx, input.namespace.id);
      await input.whenLocked?.(tx);
      if (kind === 'rollback') assertReviewed(namespace, input.reviewed);
      const latest = namespace.latestVersion;
      if (input.parentVersion !== undefined && input.parentVersion !== latest) {
        throw versionConflict(input.parentVersion, latest);
      }
      const { previous, restored: older, draft } = await restore(tx, namespace, restores);
      if (kind === 'rollback') assertFits(namespace, draft);
      return write(tx, namespace, previous, { ...input, own: older.own, draft, parentVersion: latest, kind });
    },

    /**
     * Publishes the newest version anew with what it inherits and refers to now; undefined when that is the same. What
     * does not fit the schema is not published: the errors are given back.
     */
    async refresh(
      tx: Tx,
      input: { namespaceId: string; cause: JsonObject; origin: Origin },
    ): Promise<{ namespace: Namespace; version?: Version; errors?: FieldError[] } | undefined> {
      const namespace = await findNamespaceForUpdate(tx, input.namespaceId);
      const previous = namespace && (await findVersion(tx, namespace.id, namespace.latestVersion));
      if (!namespace || !previous) return undefined;
      const { own, version: parentVersion } = previous;
      const draft = await content.compose(tx, namespace, own, { previous });
      if (contentHash(draft.visible) === previous.contentHash) return { namespace };
      const errors = misfits(namespace, draft);
      if (errors.length > 0) return { namespace, errors };
      const { origin, cause } = input;
      const version = await write(tx, namespace, previous, {
        own,
        draft,
        parentVersion,
        kind: 'refresh',
        cause,
        origin,
      });
      return { namespace, version };
    },
  };
}

/** What {@link createVersions} gives. */
export type Versions = ReturnType<typeof createVersions>;

/** 400 with what does not fit, by JSON pointer. */
export function schemaViolated(errors: readonly FieldError[]): AppError {
  const [first] = errors;
  return new AppError('configuration.schema_violated', {
    detail: first ? `${first.field || 'The configuration'} ${first.rule}` : 'The configuration does not fit.',
    errors,
  });
}

/** Refuses, with 409, what nobody else has looked at, where somebody has to. */
function assertReviewed(namespace: Namespace, reviewed: boolean | undefined): void {
  if (!namespace.reviewRequired || reviewed === true) return;
  throw new AppError('configuration.review_required', {
    detail: 'Propose it at the routes of the namespace; another person publishes the proposal.',
  });
}

/** 404 that says how far the versions go. */
export function noSuchVersion(number: number, latest: number): AppError {
  return new AppError('kernel.not_found', { detail: `There is no version ${number}; the newest is ${latest}.` });
}

function noNamespace(): AppError {
  return new AppError('kernel.not_found', { detail: 'There is no namespace of this name.' });
}
