import { type Db, isAppError, type Jobs, type Origin, type Tx } from '../../../kernel/index.ts';
import { findNamespaceForUpdate } from '../namespaces/namespace-store.ts';
import type { ProposalEnding } from './proposal-ending.ts';
import { findProposal, findProposalForUpdate } from './proposal-store.ts';

const task = 'configuration-publish-proposal';

/** Publishes proposals at their time. What cannot be published then has failed, and says why. */
export function createProposalSchedule(deps: { db: Db; jobs: Pick<Jobs, 'add' | 'register'>; ending: ProposalEnding }) {
  const { db, jobs, ending } = deps;

  /** The time has come: at least once, so a proposal that is no longer scheduled is passed over. */
  jobs.register<{ proposal: string }>(task, async ({ proposal: id }) => {
    let origin: Origin = { actor: { type: 'system', id: 'configuration' } };
    try {
      await db.transaction(async (tx) => {
        const proposal = await findProposal(tx, id);
        if (proposal?.state !== 'scheduled') return;
        const { approvedBy, createdBy } = proposal;
        origin = { actor: approvedBy ?? createdBy };
        const reviewed = approvedBy !== undefined && approvedBy.id !== createdBy.id;
        await ending.publish(tx, proposal, {
          from: 'scheduled',
          reviewed,
          granter: { permissions: new Set(), operator: false },
          origin,
        });
      });
    } catch (error) {
      if (!isAppError(error) || error.status >= 500) throw error;
      await db.transaction(async (tx) => {
        const found = await findProposal(tx, id);
        const namespace = found && (await findNamespaceForUpdate(tx, found.namespaceId));
        const proposal = namespace && (await findProposalForUpdate(tx, id));
        if (!namespace || proposal?.state !== 'scheduled') return;
        const errors = (error.errors ?? []).slice(0, 10).map(({ field, rule }) => ({ field, rule }));
        const reason = {
          code: error.code,
          detail: error.detail ?? error.message,
          ...error.extensions,
          ...(errors.length === 0 ? {} : { errors }),
        };
        await ending.discard(tx, proposal, 'failed', reason);
        await ending.record(tx, 'configuration.proposal_failed', namespace, proposal, origin, { reason });
      });
    }
  });

  return {
    /** Queues the publication in the caller's transaction. */
    add: (tx: Tx, id: string, publishAt: Date): Promise<void> =>
      jobs.add(tx, task, { proposal: id }, { runAt: publishAt, key: `${task} ${id}` }),
  };
}

/** What {@link createProposalSchedule} gives. */
export type ProposalSchedule = ReturnType<typeof createProposalSchedule>;
