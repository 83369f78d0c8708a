import type { Readable } from 'node:stream';
import { type JsonObject, Name, strictObject, Timestamp } from '@gatehouse/contracts';
import { Type } from 'typebox';

const Hash = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256, lower-case hexadecimal' });
const Sequence = Type.Integer({ minimum: 1, description: 'place in the chain: 1, 2, 3 … without gap' });
const Text = Type.String({ maxLength: 256 });
const AnyObject = Type.Unsafe<JsonObject>({ type: 'object', additionalProperties: true });

const entryMembers = {
  version: Type.Integer({ description: 'version of the entry format' }),
  id: Type.String(),
  at: Timestamp,
  action: Type.String({ description: 'what happened, such as session.created' }),
  organization: Type.String(),
  actor: strictObject({
    type: Type.String({ description: 'user, service, agent, system or anonymous' }),
    id: Type.String(),
  }),
  target: Type.Optional(strictObject({ type: Type.String(), id: Type.String() })),
  outcome: Type.Union([Type.Literal('success'), Type.Literal('failure')]),
  reason: Type.Optional(Type.String()),
  request_id: Type.Optional(Type.String()),
  address: Type.Optional(Type.String()),
  user_agent: Type.Optional(Type.String()),
  details: AnyObject,
};

/** An entry in a list; the chain members are absent for the second or two until it is sealed. */
export const AuditEntry = strictObject({
  ...entryMembers,
  sequence: Type.Optional(Sequence),
  previous_hash: Type.Optional(Hash),
  hash: Type.Optional(Hash),
});

/** A line of the export: always sealed. The handler answers with the stream of all lines. */
export const SealedAuditEntryLine = Type.Unsafe<Readable>(
  strictObject({ ...entryMembers, sequence: Sequence, previous_hash: Hash, hash: Hash }),
);

/** A signed checkpoint; `jws` is what counts, the other members repeat its payload. */
export const AuditCheckpoint = strictObject({
  number: Type.Integer({ minimum: 1 }),
  sequence: Sequence,
  hash: Hash,
  at: Timestamp,
  jws: Type.String({ description: 'compact JWS; see docs/guides/audit-format.md' }),
});

/** The query of `GET /v1/audit`. */
export const ListQuery = strictObject({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 512 })),
  organization: Type.Optional(
    Type.Union([Name, Type.Literal('*')], { description: 'operators only: one organization, or * for all' }),
  ),
  action: Type.Optional(Type.String({ maxLength: 64 })),
  actor: Type.Optional({ ...Text, description: 'id of the user or service that acted' }),
  target: Type.Optional({ ...Text, description: 'id of what was acted on' }),
  request_id: Type.Optional(Text),
  outcome: Type.Optional(Type.Union([Type.Literal('success'), Type.Literal('failure')])),
  from: Type.Optional({ ...Timestamp, description: 'not before this time' }),
  to: Type.Optional({ ...Timestamp, description: 'before this time' }),
});

/** The query of `GET /v1/audit/export`. */
export const ExportQuery = strictObject({
  from_sequence: Type.Optional({ ...Sequence, default: 1 }),
});

/** A JSON Web Key Set of public keys. */
export const KeySet = strictObject({ keys: Type.Array(AnyObject) });
