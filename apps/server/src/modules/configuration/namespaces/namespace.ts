import type { JsonObject } from '@gatehouse/contracts';
import type { Origin } from '../../../kernel/index.ts';
import type { NewEntry } from '../../audit/index.ts';

/** What of a namespace can be set. */
export interface NamespaceSettings {
  /** What it inherits from, the strongest last: names of the same service, or `<service>/<namespace>`. */
  readonly extends: readonly string[];
  /** Namespaces of other services of the organization may extend it. */
  readonly shared: boolean;
  /** JSON Schema that every published configuration has to fit. */
  readonly schema: JsonObject | undefined;
  /** A second person publishes what the first has proposed. */
  readonly reviewRequired: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

/** A namespace of a service: its versions are one configuration in the course of time. */
export interface Namespace extends NamespaceSettings {
  readonly id: string;
  readonly organization: string;
  readonly serviceId: string;
  readonly service: string;
  readonly name: string;
  /** The newest version; 0 before the first. */
  readonly latestVersion: number;
  /** Why what it inherits or refers to could not be published anew: a code, a text, the fields, the cause. */
  readonly refreshProblem: JsonObject | undefined;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly updatedAt: Date;
}

/** `<organization>.<service>/<namespace>`: how the audit and people name it. */
export function namespacePath({ organization, service, name }: Pick<Namespace, 'organization' | 'service' | 'name'>) {
  return `${organization}.${service}/${name}`;
}

/** An audit entry about a namespace. */
export function namespaceEntry(
  namespace: Pick<Namespace, 'organization' | 'service' | 'name'>,
  { action, origin, details = {} }: { action: string; origin: Origin; details?: JsonObject },
): NewEntry {
  const { organization, service, name } = namespace;
  const target = { type: 'namespace', id: namespacePath(namespace) };
  return { action, organization, origin, target, details: { service, namespace: name, ...details } };
}
