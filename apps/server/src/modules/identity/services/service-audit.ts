import { createHash } from 'node:crypto';
import type { JsonObject } from '@gatehouse/contracts';
import type { ServiceSettings } from './service.ts';

/** What a service is made of, with the names of its own roles and of those of its account. */
export interface ServiceShape extends ServiceSettings {
  readonly roles?: readonly string[];
  readonly accountRoles?: readonly string[];
}

const fields = [
  'audience',
  'authentication',
  'popUrl',
  'jwks',
  'grants',
  'redirectUris',
  'postLogoutRedirectUris',
  'firstParty',
  'idTokenAlgorithm',
  'roles',
  'accountRoles',
] as const satisfies readonly (keyof ServiceShape)[];

/**
 * What changed, for the audit: which settings, and what each was and became. Whoever has to find out where people's
 * secrets and codes went needs the addresses themselves.
 */
export function serviceChanges(before: ServiceShape, after: ServiceShape): JsonObject {
  const changed = fields.filter((field) => textOf(before, field) !== textOf(after, field));
  const values = (shape: ServiceShape) =>
    Object.fromEntries(changed.map((field) => [field, bounded(textOf(shape, field))]));
  return { changed, before: values(before), after: values(after) };
}

function textOf(shape: ServiceShape, field: (typeof fields)[number]): string {
  const value = shape[field];
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}

/** An entry has bounds, and one long value must not push the others out of it: it is kept as its hash. */
function bounded(text: string): string {
  return text.length <= maxTextLength ? text : `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
const maxTextLength = 300;
