import { diffConfigurations } from '@gatehouse/configuration';
import { Name, strictObject, Timestamp } from '@gatehouse/contracts';
import { type Static, Type } from 'typebox';
import type { Namespace } from '../namespaces/namespace.ts';
import { toVisible } from '../values/secret-values.ts';
import type { Version } from '../versions/version.ts';
import type { Proposal } from './proposal.ts';

const states = ['open', 'scheduled', 'published', 'withdrawn', 'failed'] as const;

/** A state as a query asks for it. */
export const ProposalStateQuery = Type.Enum([...states]);

/** When it is published; the query of a request. */
export const PublishAt = Type.String({
  format: 'date-time',
  maxLength: 40,
  description: 'RFC 3339; at most a year ahead. Gatehouse publishes it then, within seconds',
});

/** A proposal in a list. */
export const ProposalBody = strictObject({
  id: Type.String(),
  service: Name,
  namespace: Name,
  state: Type.Enum([...states]),
  parent_version: Type.Integer(),
  restores: Type.Optional(Type.Integer({ description: 'the version that a rollback would restore' })),
  message: Type.Optional(Type.String()),
  labels: Type.Record(Type.String(), Type.String()),
  publish_at: Type.Optional(Timestamp),
  created_at: Timestamp,
  created_by: Type.String(),
  approved_at: Type.Optional(Timestamp),
  approved_by: Type.Optional(Type.String()),
  version: Type.Optional(Type.Integer({ description: 'the version that it became' })),
  reason: Type.Optional(Type.Unknown({ description: 'why it failed' })),
  ended_at: Type.Optional(Timestamp),
});

/** A proposal with what it would change. Secrets stand by fingerprint. */
export const ProposalDetailBody = strictObject({
  ...ProposalBody.properties,
  configuration: Type.Record(Type.String(), Type.Unknown(), {
    description: 'what its author wrote; of a rollback, what the restored version has',
  }),
  changes: Type.Object(
    {
      created: Type.Record(Type.String(), Type.Unknown()),
      changed: Type.Record(Type.String(), strictObject({ from: Type.Unknown(), to: Type.Unknown() })),
      deleted: Type.Record(Type.String(), Type.Unknown()),
    },
    { description: 'beside what the author of the parent version wrote; of a rollback, beside its content' },
  ),
});

/** The answer when something is to be published later, or by somebody else. */
export const ProposedBody = strictObject({ proposal: ProposalBody });

/** Shapes a proposal. */
export function proposalToWire(
  { service, name }: Pick<Namespace, 'service' | 'name'>,
  proposal: Proposal,
): Static<typeof ProposalBody> {
  const { publishAt, approvedAt, approvedBy, endedAt } = proposal;
  return {
    id: proposal.id,
    service,
    namespace: name,
    state: proposal.state,
    parent_version: proposal.parentVersion,
    ...(proposal.restores === undefined ? {} : { restores: proposal.restores }),
    ...(proposal.message === undefined ? {} : { message: proposal.message }),
    labels: { ...proposal.labels },
    ...(publishAt === undefined ? {} : { publish_at: publishAt.toISOString() }),
    created_at: proposal.createdAt.toISOString(),
    created_by: proposal.createdBy.id,
    ...(approvedAt === undefined ? {} : { approved_at: approvedAt.toISOString() }),
    ...(approvedBy === undefined ? {} : { approved_by: approvedBy.id }),
    ...(proposal.version === undefined ? {} : { version: proposal.version }),
    ...(proposal.reason === undefined ? {} : { reason: proposal.reason }),
    ...(endedAt === undefined ? {} : { ended_at: endedAt.toISOString() }),
  };
}

/** Shapes a proposal with its content and what it changes. */
export function proposalDetailToWire(
  namespace: Pick<Namespace, 'service' | 'name'>,
  proposal: Proposal,
  { parent, restored }: { parent: Version | undefined; restored: Version | undefined },
): Static<typeof ProposalDetailBody> {
  const configuration = toVisible(proposal.own ?? restored?.effective ?? {});
  const before = toVisible((proposal.own === undefined ? parent?.effective : parent?.own) ?? {});
  return {
    ...proposalToWire(namespace, proposal),
    configuration,
    changes: diffConfigurations(before, configuration),
  };
}
