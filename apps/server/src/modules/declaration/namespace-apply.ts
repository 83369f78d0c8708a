import { type JsonObject, type Permission, permissions } from '@gatehouse/contracts';
import { AppError, type Origin, type Tx } from '../../kernel/index.ts';
import { type Configuration, type NamespaceSettings, readWritten } from '../configuration/index.ts';
import type { Granter } from '../identity/index.ts';
import { basesFirst, type NamespaceStep } from './namespace-plan.ts';
import { atPlace } from './place.ts';

/** The parts of the configuration module that change what exists. */
export interface NamespaceTargets {
  readonly namespaces: Pick<
    Configuration['namespaces'],
    'getNamespace' | 'createNamespace' | 'updateNamespace' | 'deleteNamespace'
  >;
  readonly versions: Pick<Configuration['versions'], 'publishVersion'>;
}

/** Who applies. */
interface Applicant {
  readonly granter: Granter;
  readonly origin: Origin;
}

/** Makes and changes namespaces and publishes what is declared, those that others extend first. */
export async function applyNamespaces(
  tx: Tx,
  targets: NamespaceTargets,
  steps: readonly NamespaceStep[],
  applicant: Applicant,
): Promise<void> {
  for (const one of basesFirst(steps)) await atPlace(one.path, () => applyNamespace(tx, targets, one, applicant));
}

/** Deletes namespaces, those that extend others first. */
export async function deleteNamespaces(
  tx: Tx,
  { namespaces }: NamespaceTargets,
  steps: readonly NamespaceStep[],
  { origin }: Applicant,
): Promise<void> {
  for (const one of basesFirst(steps).toReversed()) {
    const { service, namespace: name, step } = one;
    const input = { organization: step.organization ?? '', service, name, origin };
    await atPlace(one.path, () => namespaces.deleteNamespace(tx, input));
  }
}

async function applyNamespace(
  tx: Tx,
  targets: NamespaceTargets,
  one: NamespaceStep,
  applicant: Applicant,
): Promise<void> {
  const { namespaces } = targets;
  const { step, service, namespace: name, declared, before } = one;
  if (!declared) return;
  const { granter, origin } = applicant;
  const id = { organization: step.organization ?? '', service, name };
  const held: ReadonlySet<Permission> = granter === 'system' ? new Set(permissions) : granter.permissions;
  const change = { ...id, permissions: held, origin };
  const { reviewRequired, ...settings } = settingsOf(declared);
  // A review begins after what is declared together with it, and ends before.
  const beginsReview = reviewRequired === true && before?.reviewRequired !== true;
  const first = reviewRequired === undefined || beginsReview ? settings : { ...settings, reviewRequired };
  const changed = step.changes.filter(isSetting).map(({ field }) => field);
  if (!before) await namespaces.createNamespace(tx, { ...change, settings: first });
  else if (changed.some((field) => field !== 'review_required' || !beginsReview)) {
    await namespaces.updateNamespace(tx, { ...change, settings: first });
  }
  if (!before || !step.changes.every(isSetting)) await publish(tx, targets, one, applicant);
  if (beginsReview) await namespaces.updateNamespace(tx, { ...change, settings: { reviewRequired } });
}

async function publish(
  tx: Tx,
  { namespaces, versions }: NamespaceTargets,
  { step, service, namespace: name, declared, before }: NamespaceStep,
  { granter, origin }: Applicant,
): Promise<void> {
  if (declared?.configuration === undefined) return;
  const namespace = await namespaces.getNamespace(tx, { organization: step.organization ?? '', service, name });
  if (namespace.reviewRequired) {
    throw new AppError('configuration.review_required', {
      detail:
        'Its versions are published by a second person, so a declaration cannot publish one. Propose it, or declare review_required: false.',
    });
  }
  await versions.publishVersion(tx, {
    namespace,
    // What the plan was compared with: a version that somebody publishes meanwhile is not overwritten.
    parentVersion: before?.version ?? 0,
    configuration: readWritten(declared.configuration as JsonObject),
    // Equal secrets stay the same, so that only what differs is new.
    mayReveal: true,
    message: 'Applied from a declaration.',
    granter,
    origin,
  });
}

/** A field of the namespace itself, not of its configuration. */
function isSetting({ field }: { field: string }): boolean {
  return field !== 'version' && !field.startsWith('configuration.');
}

function settingsOf(declared: NonNullable<NamespaceStep['declared']>): Partial<NamespaceSettings> {
  return {
    ...(declared.extends === undefined ? {} : { extends: declared.extends }),
    ...(declared.shared === undefined ? {} : { shared: declared.shared }),
    ...(declared.schema === undefined ? {} : { schema: declared.schema as JsonObject }),
    ...(declared.review_required === undefined ? {} : { reviewRequired: declared.review_required }),
    ...(declared.labels === undefined ? {} : { labels: declared.labels }),
  };
}
