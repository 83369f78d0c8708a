import { namePattern } from '@gatehouse/contracts';
import { usageError } from '../errors.ts';

/** Which namespace a command is about. */
export interface Target {
  /** Named in the argument; else that of the login. */
  readonly organization: string | undefined;
  readonly service: string;
  readonly namespace: string;
  /** For people: `acme.billing/default`. */
  readonly label: string;
  /** For the hints of messages: the arguments that name it. */
  readonly args: string;
}

/** Reads `<organization>.<service>` or `<service>`. */
export function targetOf(service: string, namespace = 'default'): Target {
  const parts = service.split('.');
  const name = new RegExp(namePattern);
  if (parts.length > 2 || !parts.every((part) => name.test(part))) {
    throw usageError(`"${service}" is not the name of a service.`, 'use billing, or acme.billing');
  }
  if (!name.test(namespace)) {
    const rule = 'use lower-case letters, digits, _ and -, beginning with a letter or digit, at most 63 characters';
    throw usageError(`"${namespace}" is not the name of a namespace.`, rule);
  }
  return {
    organization: parts.length === 2 ? parts[0] : undefined,
    service: parts.at(-1) ?? '',
    namespace,
    label: `${service}/${namespace}`,
    args: namespace === 'default' ? service : `${service} -n ${namespace}`,
  };
}
