import { namePattern } from '@gatehouse/contracts';
import { badRequest } from './body.ts';

const ours = new RegExp(namePattern);

/** True for a name that something here may have. */
export function isName(name: string): boolean {
  return ours.test(name);
}

/**
 * Refuses a name: first with the original's words for what it refused, then for what our names, which stand in client
 * ids, audiences and audit entries, cannot hold.
 */
export function assertName(name: string, kind: 'Organization' | 'Service' | 'Namespace'): void {
  // The original says "Organization name" for namespaces, too.
  const called = kind === 'Service' ? 'Service' : 'Organization';
  if (!/^[^.|\s]+$/u.test(name)) throw badRequest(`${called} name should not contain '.' or any whitespaces`);
  if (!isName(name)) {
    throw badRequest(
      `${kind} name "${name.slice(0, 80)}" cannot be used here: use lower-case letters, digits, - and _, beginning with a letter or a digit, at most 63`,
    );
  }
}
