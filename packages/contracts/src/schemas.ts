import { type Static, type TObjectOptions, type TProperties, type TSchema, Type } from 'typebox';

/** An object schema that refuses unknown members: the only kind a request may use. */
export function strictObject<P extends TProperties>(properties: P, options: TObjectOptions = {}) {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

/** Names of organizations, services, namespaces and roles. */
export const namePattern = '^[a-z0-9][a-z0-9_-]{0,62}$';

/** A name (lower case, digits, `_`, `-`; at most 63 characters). */
export const Name = Type.String({
  pattern: namePattern,
  minLength: 1,
  maxLength: 63,
  description: 'lower-case letters, digits, _ and -, beginning with a letter or digit, at most 63 characters',
});

/** Names that no namespace can have: what stands in their place in the paths below `/v1/services/{service}/`. */
export const reservedNamespaceNames: ReadonlySet<string> = new Set([
  'agents',
  'enrolment-tokens',
  'instances',
  'namespaces',
  'restore',
  'rollout-policy',
  'secrets',
  'suspend',
  'token',
  'tokens',
  'validatetoken',
]);

/** A point in time, RFC 3339 in UTC. */
export const Timestamp = Type.String({ format: 'date-time', maxLength: 40 });

/** RFC 9457 problem details as every JSON route answers them. */
export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String()),
    code: Type.String({ description: 'stable error code; see docs/guides/errors.md' }),
    request_id: Type.Optional(Type.String()),
    errors: Type.Optional(
      Type.Array(Type.Object({ field: Type.String(), rule: Type.String(), fix: Type.Optional(Type.String()) })),
    ),
  },
  { additionalProperties: true, description: 'RFC 9457 problem details' },
);

/** The query of every list. */
export const PageQuery = strictObject({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 512 })),
});
/** {@link PageQuery} as a value. */
export type PageQuery = Static<typeof PageQuery>;

/** A page of items: `next_cursor` is absent on the last page. */
export function pageOf<T extends TSchema>(item: T) {
  return strictObject({ items: Type.Array(item), next_cursor: Type.Optional(Type.String()) });
}
