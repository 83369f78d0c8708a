import { strictObject, Timestamp } from '@gatehouse/contracts';
import { canonicalJson } from '@gatehouse/crypto';
import { type Static, Type } from 'typebox';
import { toVisible } from '../values/secret-values.ts';
import type { Version } from './version.ts';
import type { VersionSummary } from './version-store.ts';

/** A configuration as it is sent; its rules are those of `parseWritten`. */
export const ConfigurationBody = Type.Record(Type.String(), Type.Unknown(), {
  description:
    'values by key: strings, numbers, booleans, JSON; {"$secret": <value>} for a secret, {"$key": <keyring>} and {"$client": "id" or "secret"} for what Gatehouse owns',
});

/** Why a version was published, in a line or two. */
export const Message = Type.String({ minLength: 1, maxLength: 1000, pattern: '^[^\\u0000]*$' });

/** A version number. */
export const VersionNumber = Type.String({ pattern: '^[1-9][0-9]{0,8}$', description: 'the number of a version' });

const SourceBody = Type.Object(
  {
    kind: Type.Enum(['own', 'inherited', 'key', 'client']),
    namespace: Type.Optional(Type.String()),
    version: Type.Optional(Type.Integer()),
    keyring: Type.Optional(Type.String()),
    kid: Type.Optional(Type.String()),
    client_id: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);

const summaryFields = {
  version: Type.Integer(),
  parent_version: Type.Integer({ description: '0 for the first version' }),
  kind: Type.Enum(['author', 'rollback', 'refresh', 'automatic_rollback']),
  restores: Type.Optional(Type.Integer({ description: 'the version whose content a rollback published again' })),
  cause: Type.Optional(Type.Unknown({ description: 'what led to it: a base, a key, a rollout, a proposal' })),
  message: Type.Optional(Type.String()),
  labels: Type.Record(Type.String(), Type.String()),
  content_hash: Type.String(),
  hash: Type.String(),
  created_at: Timestamp,
  created_by: Type.String(),
};

/** A version in a history. */
export const VersionSummaryBody = strictObject(summaryFields);

/** A version with its content. */
export const VersionBody = strictObject({
  ...summaryFields,
  configuration: Type.Record(Type.String(), Type.Unknown(), {
    description: 'what instances get; a secret as {"$secret": {"fingerprint"}}',
  }),
  own: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: 'what its author wrote, when that differs: without what is inherited, references as written',
    }),
  ),
  sources: Type.Record(Type.String(), SourceBody, { description: 'where each value comes from' }),
});

/** Shapes a version of a history. */
export function summaryToWire(version: VersionSummary): Static<typeof VersionSummaryBody> {
  return {
    version: version.version,
    parent_version: version.parentVersion,
    kind: version.kind,
    ...(version.restores === undefined ? {} : { restores: version.restores }),
    ...(version.cause === undefined ? {} : { cause: version.cause }),
    ...(version.message === undefined ? {} : { message: version.message }),
    labels: { ...version.labels },
    content_hash: version.contentHash,
    hash: version.hash,
    created_at: version.createdAt.toISOString(),
    created_by: version.createdBy,
  };
}

/** Shapes a version with its content: secrets by fingerprint. */
export function versionToWire(version: Version): Static<typeof VersionBody> {
  const configuration = toVisible(version.effective);
  const own = toVisible(version.own);
  return {
    ...summaryToWire(version),
    configuration,
    ...(canonicalJson(own) === canonicalJson(configuration) ? {} : { own }),
    sources: { ...version.sources },
  };
}
