import { AppError, type FieldError, invalidField, type Tx } from '../../../kernel/index.ts';
import { inheritanceProblem } from './inheritance-rules.ts';
import {
  type BaseCandidate,
  listByNames,
  listExtensionsAround,
  listForeignDependents,
  replaceExtensions,
} from './inheritance-store.ts';
import type { Namespace } from './namespace.ts';

type Place = Pick<Namespace, 'id' | 'organization' | 'service' | 'name'>;

/**
 * Sets what a namespace inherits from, under the lock of the organization's inheritance. What is not there, not shared or
 * another organization's is one and the same 400.
 */
export async function setExtensions(tx: Tx, namespace: Place, names: readonly string[]): Promise<void> {
  const wanted = names.map((text) => placeOf(text, namespace.service));
  const found = await listByNames(tx, namespace.organization, wanted);
  const errors: FieldError[] = [];
  const bases: BaseCandidate[] = [];
  for (const [index, one] of wanted.entries()) {
    const base = found.find((other) => other.service === one.service && other.name === one.name);
    const field = `extends.${index}`;
    if (!base || (base.service !== namespace.service && !base.shared)) {
      const rule = 'is neither a namespace of this service nor a shared one of the organization';
      errors.push({ field, rule, fix: 'use <namespace>, or <service>/<namespace> of one that is shared' });
    } else if (bases.includes(base)) errors.push({ field, rule: 'is there twice', fix: 'leave it out' });
    else bases.push(base);
  }
  const [first] = errors;
  if (first) throw new AppError('kernel.invalid_request', { detail: `${first.field} ${first.rule}`, errors });
  const named = bases.map((base) => ({ id: base.id, name: `${base.service}/${base.name}` }));
  const around = await listExtensionsAround(
    tx,
    namespace.id,
    bases.map((base) => base.id),
  );
  const target = { id: namespace.id, name: `${namespace.service}/${namespace.name}` };
  const problem = inheritanceProblem(target, named, around);
  if (problem) throw invalidField('extends', problem);
  await replaceExtensions(
    tx,
    namespace.id,
    bases.map((base) => base.id),
  );
}

/** Refuses, with 409, to take away what namespaces of other services extend. */
export async function assertNotExtendedByOthers(tx: Tx, serviceId: string, namespaceId?: string): Promise<void> {
  const dependents = await listForeignDependents(tx, serviceId, namespaceId);
  if (dependents.length === 0) return;
  const shown = dependents.slice(0, 10).map(({ base, name }) => `${name} extends ${base}`);
  throw namespaceInUse(`${shown.join(', ')}${dependents.length > 10 ? ', and more' : ''}.`);
}

/** 409 that says who extends the namespace. */
export function namespaceInUse(who: string): AppError {
  return new AppError('configuration.namespace_in_use', {
    detail: `${who} Take it out of "extends" there first.`,
  });
}

function placeOf(text: string, service: string): { service: string; name: string } {
  const slash = text.indexOf('/');
  return slash < 0 ? { service, name: text } : { service: text.slice(0, slash), name: text.slice(slash + 1) };
}
