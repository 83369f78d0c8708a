import type { JsonObject } from '@gatehouse/contracts';
import { AppError, type Clock, type Origin, type Tx } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Granter } from '../../identity/index.ts';
import { type Namespace, namespaceEntry } from '../namespaces/namespace.ts';
import { deleteSecretValues } from '../values/secret-value-store.ts';
import { isStoredSecret } from '../values/secret-values.ts';
import type { Version } from '../versions/version.ts';
import type { Versions } from '../versions/version-service.ts';
import type { Proposal } from './proposal.ts';
import { findProposalForUpdate, updateEnded } from './proposal-store.ts';

/** How a proposal ends: as a version, or as nothing. */
export function createProposalEnding(deps: {
  clock: Clock;
  audit: Pick<Audit, 'append'>;
  versions: Pick<Versions, 'publishStored' | 'rollback'>;
}) {
  const { clock, audit, versions } = deps;

  const record = (tx: Tx, action: string, namespace: Namespace, proposal: Proposal, origin: Origin, details = {}) =>
    audit.append(
      tx,
      namespaceEntry(namespace, {
        action,
        origin,
        details: {
          proposal: proposal.id,
          parent_version: proposal.parentVersion,
          restores: proposal.restores,
          publish_at: proposal.publishAt?.toISOString(),
          ...details,
        },
      }),
    );

  /** Publishes a proposal that is in the state `from`, under the locks of its namespace and of itself. */
  const publish = async (
    tx: Tx,
    proposal: Proposal,
    by: { from: 'open' | 'scheduled'; reviewed: boolean; granter: Granter; origin: Origin },
  ): Promise<Version> => {
    const { granter, origin, from, reviewed } = by;
    const approver = proposal.approvedBy ?? origin.actor;
    const common = {
      namespace: { id: proposal.namespaceId },
      granter,
      origin,
      reviewed,
      author: proposal.createdBy.id,
      message: proposal.message,
      labels: proposal.labels,
      cause: { proposal: proposal.id, approved_by: approver.id },
      whenLocked: async (lockedTx: Tx) => {
        const now = await findProposalForUpdate(lockedTx, proposal.id);
        if (now?.state !== from) throw closed(now);
      },
    };
    const version =
      proposal.own === undefined
        ? await versions.rollback(tx, {
            ...common,
            restores: proposal.restores ?? 0,
            parentVersion: proposal.parentVersion,
          })
        : await versions.publishStored(tx, { ...common, own: proposal.own, parentVersion: proposal.parentVersion });
    await updateEnded(tx, proposal.id, {
      state: 'published',
      version: version.version,
      approvedBy: approver,
      now: clock.now(),
    });
    return version;
  };

  /** Ends a proposal that comes to nothing; the secrets that only it had go. */
  const discard = async (tx: Tx, proposal: Proposal, state: 'withdrawn' | 'failed', reason?: JsonObject) => {
    const ids = proposal.freshKeys.flatMap((key) => {
      const value = proposal.own?.[key];
      return isStoredSecret(value) ? [value.$secret.id] : [];
    });
    await updateEnded(tx, proposal.id, { state, now: clock.now(), ...(reason === undefined ? {} : { reason }) });
    if (ids.length > 0) await deleteSecretValues(tx, proposal.namespaceId, ids);
  };

  return { record, publish, discard };
}

/** What {@link createProposalEnding} gives. */
export type ProposalEnding = ReturnType<typeof createProposalEnding>;

/** 409 for a proposal that is not in the state to be acted on. */
export function closed(proposal: Proposal | undefined): AppError {
  return new AppError('configuration.proposal_closed', {
    detail: `The proposal is ${proposal?.state ?? 'gone'}.`,
    ...(proposal === undefined ? {} : { extensions: { state: proposal.state } }),
  });
}
