import { Name, PageQuery, strictObject, Timestamp } from '@gatehouse/contracts';
import { type Static, Type } from 'typebox';
import type { Namespace, NamespaceSettings } from './namespace.ts';

/** Text without control characters. */
export const printable = '^[^\\u0000-\\u001f\\u007f]*$';

/** Labels: short texts by name, for people and their tools. */
export const Labels = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$' }),
  Type.String({ maxLength: 256, pattern: printable }),
  { additionalProperties: false, maxProperties: 32, description: 'short texts by name' },
);

/** `?label=name:value` of a list. */
const LabelQuery = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}:[^\\u0000-\\u001f\\u007f]{0,256}$',
  maxLength: 320,
  description: '<name>:<value>: those with this label only',
});

/** The query of a list that labels can narrow. */
export const LabelledPageQuery = strictObject({ ...PageQuery.properties, label: Type.Optional(LabelQuery) });

/** The label that a query asks for. */
export function labelOf(query: string | undefined): Record<string, string> | undefined {
  if (query === undefined) return undefined;
  const colon = query.indexOf(':');
  return { [query.slice(0, colon)]: query.slice(colon + 1) };
}

/** What of a namespace can be set. */
export const settingsFields = {
  extends: Type.Optional(
    Type.Array(Type.String({ pattern: '^(?:[a-z0-9][a-z0-9_-]{0,62}/)?[a-z0-9][a-z0-9_-]{0,62}$', maxLength: 127 }), {
      maxItems: 8,
      uniqueItems: true,
      description: 'what it inherits from, the strongest last: <namespace>, or <service>/<namespace> if that is shared',
    }),
  ),
  shared: Type.Optional(Type.Boolean({ description: 'namespaces of other services may extend it' })),
  review_required: Type.Optional(Type.Boolean({ description: 'a second person publishes what one has proposed' })),
  labels: Type.Optional(Labels),
};

/** JSON Schema of a namespace's configuration, as it is sent. */
export const SchemaBody = Type.Record(Type.String({ maxLength: 256 }), Type.Unknown(), {
  description: 'JSON Schema 2020-12 that every published configuration has to fit',
});

/** A namespace as answered. */
export const NamespaceBody = strictObject({
  organization: Name,
  service: Name,
  namespace: Name,
  version: Type.Integer({ description: 'the newest version; 0 before the first' }),
  extends: Type.Array(Type.String()),
  shared: Type.Boolean(),
  schema: Type.Optional(Type.Unknown()),
  review_required: Type.Boolean(),
  labels: Type.Record(Type.String(), Type.String()),
  refresh_problem: Type.Optional(
    Type.Unknown({ description: 'why the newest values of what it extends or refers to are not published here' }),
  ),
  created_at: Timestamp,
  created_by: Type.String(),
  updated_at: Timestamp,
});

/** Shapes a namespace for the wire. */
export function namespaceToWire(namespace: Namespace): Static<typeof NamespaceBody> {
  return {
    organization: namespace.organization,
    service: namespace.service,
    namespace: namespace.name,
    version: namespace.latestVersion,
    extends: [...namespace.extends],
    shared: namespace.shared,
    ...(namespace.schema === undefined ? {} : { schema: namespace.schema }),
    review_required: namespace.reviewRequired,
    labels: { ...namespace.labels },
    ...(namespace.refreshProblem === undefined ? {} : { refresh_problem: namespace.refreshProblem }),
    created_at: namespace.createdAt.toISOString(),
    created_by: namespace.createdBy,
    updated_at: namespace.updatedAt.toISOString(),
  };
}

/** The settings that a request names; `schema: null` takes the schema away. */
export function settingsOf(body: {
  extends?: string[];
  shared?: boolean;
  schema?: Record<string, unknown> | null;
  review_required?: boolean;
  labels?: Record<string, string>;
}): Partial<NamespaceSettings> {
  return {
    ...(body.extends === undefined ? {} : { extends: body.extends }),
    ...(body.shared === undefined ? {} : { shared: body.shared }),
    ...(body.schema === undefined ? {} : { schema: (body.schema ?? undefined) as NamespaceSettings['schema'] }),
    ...(body.review_required === undefined ? {} : { reviewRequired: body.review_required }),
    ...(body.labels === undefined ? {} : { labels: body.labels }),
  };
}
