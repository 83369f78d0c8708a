import type { JsonObject, JsonValue } from '@gatehouse/contracts';

/** What a verified subject (or actor) token says. */
export interface Subject {
  readonly issuer: string;
  readonly subject: string;
  /** The organization its issuer placed it in: known for Gatehouse's own tokens, absent for foreign ones. */
  readonly organization?: string;
  readonly clientId?: string;
  readonly sessionId?: string;
  readonly audiences: readonly string[];
  readonly scope: readonly string[];
  readonly roles: readonly string[];
  /** Seconds since the epoch. */
  readonly expiresAt: number;
  /** Seconds since the epoch. */
  readonly notBefore?: number;
  /** The chain of actors so far (RFC 8693 §4.1). */
  readonly actor?: JsonObject;
  readonly acr?: string;
  /** True for a token bound to a key (RFC 7800): whoever merely found it must not use it. */
  readonly bound?: boolean;
}

/** Longest chain of actors a token may carry. */
export const maxActorDepth = 4;

/**
 * The roles in a token, as the original STS read them: `scp`, `roles`, `realm_access.roles`, `resource_access.*.roles`,
 * in this order and each once.
 */
export function rolesOfClaims(claims: JsonObject): string[] {
  const realm = asObject(claims['realm_access']);
  const resources = Object.values(asObject(claims['resource_access'])).map((one) => asObject(one ?? null));
  const lists = [claims['scp'], claims['roles'], realm['roles'], ...resources.map((one) => one['roles'])];
  return [...new Set(lists.flatMap(stringsOf))];
}

/** `aud` as a list (RFC 7519 §4.1.3 allows a string). */
export function audiencesOf(claims: JsonObject): string[] {
  const { aud } = claims;
  return typeof aud === 'string' ? [aud] : stringsOf(aud);
}

/** `scope` as a list (RFC 8693 §4.2). */
export function scopeOf(claims: JsonObject): string[] {
  const { scope } = claims;
  return typeof scope === 'string' ? scope.split(' ').filter(Boolean) : [];
}

/** The chain of actors with one more in front; undefined when it would be longer than {@link maxActorDepth}. */
export function extendActors(
  actor: { sub: string; iss: string },
  before: JsonObject | undefined,
): JsonObject | undefined {
  const chain: JsonObject = before === undefined ? { ...actor } : { ...actor, act: before };
  let depth = 0;
  for (let link: JsonObject | undefined = chain; link; link = isObject(link['act']) ? link['act'] : undefined)
    depth += 1;
  return depth > maxActorDepth ? undefined : chain;
}

/** True for a JSON object, not an array and not null. */
export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asObject(value: JsonValue | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function stringsOf(value: JsonValue | undefined): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}
