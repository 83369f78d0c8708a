import { bundleHash, contentHash, diffConfigurations } from '@gatehouse/configuration';
import type { JsonObject } from '@gatehouse/contracts';
import type { Clock, Origin, Tx } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { listDependents } from '../namespaces/inheritance-store.ts';
import { type Namespace, namespacePath } from '../namespaces/namespace.ts';
import { advanceVersion } from '../namespaces/namespace-store.ts';
import { referenceOf } from '../references/reference.ts';
import { replaceReferences } from '../references/reference-store.ts';
import { toVisible } from '../values/secret-values.ts';
import type { Draft } from './content.ts';
import type { RefreshQueue } from './refresh-queue.ts';
import type { StoredConfiguration, Version, VersionKind } from './version.ts';
import { insertVersion } from './version-store.ts';

/** Told in the publishing transaction, after the version is written. */
export type Published = (
  tx: Tx,
  published: { namespace: Namespace; version: Version; previous: Version | undefined },
) => Promise<void>;

/** What a version is made of. */
export interface NewContent {
  readonly own: StoredConfiguration;
  readonly draft: Draft;
  readonly parentVersion: number;
  readonly kind: VersionKind;
  readonly restores?: number | undefined;
  readonly origin: Origin;
  /** Who wrote it, when that is not who publishes it. */
  readonly author?: string | undefined;
  readonly message?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly cause?: JsonObject | undefined;
}

/**
 * Writes a version, with all that is in one transaction with it: its number, its place in the chain, the audit entry, the
 * work that follows. The caller holds the lock of the namespace.
 */
export function createVersionWriter(deps: {
  clock: Clock;
  audit: Pick<Audit, 'append'>;
  queue: Pick<RefreshQueue, 'fanOut'>;
  published: Published;
}) {
  const { clock, audit, queue, published } = deps;

  return async function writeVersion(
    tx: Tx,
    namespace: Namespace,
    previous: Version | undefined,
    version: NewContent,
  ): Promise<Version> {
    const { draft, own, parentVersion, kind, restores, cause, message, labels = {}, origin, author } = version;
    const now = clock.now();
    const number = namespace.latestVersion + 1;
    const content_hash = contentHash(draft.visible);
    const previousHash = previous?.hash ?? '';
    const { organization, service, name } = namespace;
    const made: Version = {
      namespaceId: namespace.id,
      version: number,
      parentVersion,
      own,
      effective: await draft.seal(tx),
      sources: draft.sources,
      bases: draft.bases,
      contentHash: content_hash,
      hash: bundleHash({
        organization,
        service,
        namespace: name,
        version: number,
        previous_hash: previousHash,
        content_hash,
      }),
      previousHash,
      kind,
      restores,
      cause,
      message,
      labels,
      createdAt: now,
      createdBy: author ?? origin.actor.id,
    };
    if (!(await advanceVersion(tx, namespace.id, number, now))) {
      throw new Error(`configuration: ${namespace.id} moved on although it is locked`);
    }
    await insertVersion(tx, made);
    const referred = Object.values(previous?.own ?? {}).some((value) => referenceOf(value) !== undefined);
    if (referred || draft.references.length > 0) await replaceReferences(tx, namespace.id, draft.references);
    const { created, changed, deleted } = diffConfigurations(toVisible(previous?.effective ?? {}), draft.visible);
    await audit.append(tx, {
      action: 'configuration.published',
      organization,
      origin,
      target: { type: 'namespace', id: namespacePath(namespace) },
      details: {
        service,
        namespace: name,
        version: number,
        parent_version: parentVersion,
        kind,
        restores,
        cause,
        created: Object.keys(created).length,
        changed: Object.keys(changed).length,
        deleted: Object.keys(deleted).length,
      },
    });
    if ((await listDependents(tx, namespace.id, { limit: 1 })).length > 0) {
      await queue.fanOut(tx, namespace.id, { namespace: `${service}/${name}`, version: number });
    }
    await published(tx, { namespace: { ...namespace, latestVersion: number }, version: made, previous });
    return made;
  };
}
