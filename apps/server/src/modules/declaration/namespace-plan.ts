import type { DeclarationChange, DeclarationStep, DeclaredNamespace, DeclaredService } from '@gatehouse/contracts';
import { compare, deletionOf, stepOf } from './compare.ts';
import type { CurrentNamespace } from './namespace-state.ts';
import type { Place } from './place.ts';

/** A step about a namespace. */
export interface NamespaceStep {
  readonly kind: 'namespace';
  readonly step: DeclarationStep;
  readonly path: Place;
  readonly service: string;
  readonly namespace: string;
  readonly before?: CurrentNamespace;
  readonly declared?: DeclaredNamespace;
}

/** The later entry of `extends` overrides the earlier one, so its order means something; that of a schema's lists may. */
const ordered = new Set(['extends', 'schema']);

/** What is to be done about the namespaces of a service. */
export function planNamespaces(
  organization: string,
  service: string,
  declared: DeclaredService['namespaces'],
  current: ReadonlyMap<string, CurrentNamespace> | undefined,
  path: Place,
): NamespaceStep[] {
  return Object.entries(declared ?? {}).map(([namespace, wanted]): NamespaceStep => {
    const { configuration, ...settings } = wanted;
    const before = current?.get(namespace);
    const changes = [...compare(settings, before?.settings, ordered), ...(before?.changes ?? valuesOf(configuration))];
    // An empty configuration is one too: version 1, where there is none.
    if (before?.version === 0 && configuration !== undefined) changes.push({ field: 'version', from: 0, to: 1 });
    return {
      kind: 'namespace',
      service,
      namespace,
      declared: wanted,
      path: [...path, 'namespaces', namespace],
      step: stepOf('namespace', nameOf(organization, service, namespace), before, changes, organization),
      ...(before === undefined ? {} : { before }),
    };
  });
}

/** The namespaces that a section which is there does not name. */
export function planNamespaceDeletions(
  organization: string,
  service: string,
  declared: DeclaredService['namespaces'],
  current: ReadonlyMap<string, CurrentNamespace> | undefined,
  path: Place,
): NamespaceStep[] {
  if (declared === undefined) return [];
  return [...(current ?? [])]
    .filter(([namespace]) => !Object.hasOwn(declared, namespace))
    .map(([namespace, before]) => ({
      kind: 'namespace',
      service,
      namespace,
      before,
      path: [...path, 'namespaces', namespace],
      step: deletionOf('namespace', nameOf(organization, service, namespace), organization),
    }));
}

/** Sorts namespaces of one organization so that each comes after those it extends. A circle is left to be refused. */
export function basesFirst(steps: readonly NamespaceStep[]): NamespaceStep[] {
  const byName = new Map(steps.map((one) => [`${one.service}/${one.namespace}`, one]));
  const sorted = new Set<NamespaceStep>();
  const visit = (one: NamespaceStep, above: ReadonlySet<NamespaceStep>) => {
    if (sorted.has(one) || above.has(one)) return;
    for (const base of one.declared?.extends ?? one.before?.extends ?? []) {
      const found = byName.get(base.includes('/') ? base : `${one.service}/${base}`);
      if (found) visit(found, new Set([...above, one]));
    }
    sorted.add(one);
  };
  for (const one of steps) visit(one, new Set());
  return [...sorted];
}

/** Keys of a first version; secrets by name only. */
function valuesOf(configuration: DeclaredNamespace['configuration']): DeclarationChange[] {
  return Object.entries(configuration ?? {}).map(([key, to]) => {
    const isSecret = typeof to === 'object' && to !== null && Object.hasOwn(to, '$secret');
    return { field: `configuration.${key}`, ...(isSecret ? {} : { to }) };
  });
}

function nameOf(organization: string, service: string, namespace: string): string {
  return `${organization}.${service}/${namespace}`;
}
