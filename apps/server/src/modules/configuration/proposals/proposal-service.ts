import type { WrittenConfiguration } from '@gatehouse/configuration';
import {
  AppError,
  addSeconds,
  type Clock,
  invalidField,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { Granter } from '../../identity/index.ts';
import type { Namespace } from '../namespaces/namespace.ts';
import { findNamespaceById, findNamespaceForUpdate } from '../namespaces/namespace-store.ts';
import type { ClientSecrets } from '../references/client-secrets.ts';
import { refersToClientSecret, writesClientSecret } from '../references/reference.ts';
import type { Version } from '../versions/version.ts';
import type { Versions } from '../versions/version-service.ts';
import type { Proposal } from './proposal.ts';
import { closed, type ProposalEnding } from './proposal-ending.ts';
import type { ProposalSchedule } from './proposal-schedule.ts';
import {
  countLivingProposals,
  findProposal,
  findProposalForUpdate,
  insertProposal,
  listProposals,
  updateApproved,
} from './proposal-store.ts';

/** Proposals of a namespace that wait at once. */
export const maxLivingProposals = 50;
/** How far ahead a publication can be scheduled, seconds. */
export const maxAheadSeconds = 366 * 86_400;

/** What is proposed: a new configuration, or the content of an older version. */
type Content =
  | { readonly configuration: WrittenConfiguration; readonly parentVersion: number; readonly mayReveal: boolean }
  | { readonly restores: number; readonly parentVersion: number | undefined };

/** A version to be, and by whom. */
export interface NewProposal {
  readonly namespace: Pick<Namespace, 'id'>;
  readonly content: Content;
  readonly message?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly publishAt?: Date | undefined;
  /** Its author may publish, and nobody else has to agree: it only waits for its time. */
  readonly approved: boolean;
  readonly granter: Granter;
  readonly origin: Origin;
}

/** Proposals: what a second person has to agree to, and what is published later. */
export function createProposals(deps: {
  clock: Clock;
  random: Pick<Random, 'id'>;
  versions: Pick<Versions, 'prepare' | 'prepareRollback'>;
  clientSecrets: Pick<ClientSecrets, 'ensure'>;
  ending: ProposalEnding;
  schedule: ProposalSchedule;
}) {
  const { clock, random, versions, clientSecrets, schedule } = deps;
  const { record, publish, discard } = deps.ending;

  const getProposal = async (tx: Reader, namespace: Pick<Namespace, 'id'>, id: string): Promise<Proposal> => {
    const proposal = await findProposal(tx, id);
    if (proposal?.namespaceId !== namespace.id) {
      throw new AppError('kernel.not_found', { detail: 'The namespace has no proposal with this id.' });
    }
    return proposal;
  };

  return {
    getProposal,
    listProposals,

    /** Judges and keeps a version to be. It is published by a second person, at its time, or both. */
    async propose(tx: Tx, input: NewProposal): Promise<Proposal> {
      const { content, publishAt, approved, origin, granter } = input;
      const now = clock.now();
      if (publishAt !== undefined && !(publishAt > now)) {
        throw invalidField('publish_at', 'is not in the future', 'leave it out to publish at once');
      }
      if (publishAt !== undefined && publishAt > addSeconds(now, maxAheadSeconds)) {
        throw invalidField('publish_at', 'is more than a year ahead', 'choose an earlier time');
      }
      if (approved && publishAt !== undefined && 'configuration' in content) {
        // Whoever schedules answers for the secret of the service; the job could not.
        const owner = await findNamespaceById(tx, input.namespace.id);
        const refers = writesClientSecret(content.configuration);
        if (owner && refers) await clientSecrets.ensure(tx, owner, { granter, origin });
      }
      const prepared =
        'configuration' in content
          ? await versions.prepare(tx, { namespace: input.namespace, ...content })
          : {
              ...(await versions.prepareRollback(tx, { namespace: input.namespace, ...content })),
              own: undefined,
              sealedKeys: [],
            };
      const { namespace, parentVersion, own, sealedKeys } = prepared;
      if ((await countLivingProposals(tx, namespace.id)) >= maxLivingProposals) {
        throw new AppError('kernel.conflict', {
          detail: `The namespace has ${maxLivingProposals} proposals that wait, which is the most. Withdraw one first.`,
        });
      }
      const proposal: Proposal = {
        id: random.id('prop'),
        namespaceId: namespace.id,
        parentVersion,
        own,
        freshKeys: sealedKeys,
        restores: 'restores' in content ? content.restores : undefined,
        message: input.message,
        labels: input.labels ?? {},
        publishAt,
        state: approved ? 'scheduled' : 'open',
        createdAt: now,
        createdBy: origin.actor,
        approvedAt: approved ? now : undefined,
        approvedBy: approved ? origin.actor : undefined,
        version: undefined,
        reason: undefined,
        endedAt: undefined,
      };
      await insertProposal(tx, proposal);
      if (approved && publishAt !== undefined) await schedule.add(tx, proposal.id, publishAt);
      await record(tx, 'configuration.proposed', namespace, proposal, origin, { state: proposal.state });
      return proposal;
    },

    /**
     * A second person agrees: it is published, or waits for its time. Not its author, whatever rights that one has by
     * now, and no service: an account made for the purpose would be the same person.
     */
    async approve(
      tx: Tx,
      input: { namespace: Namespace; id: string; granter: Granter; origin: Origin },
    ): Promise<{ proposal: Proposal; version?: Version }> {
      const { namespace, id, granter, origin } = input;
      const proposal = await getProposal(tx, namespace, id);
      if (proposal.state !== 'open') throw closed(proposal);
      if (origin.actor.type !== 'user') {
        throw new AppError('configuration.same_person', { detail: 'A person publishes a proposal, not a service.' });
      }
      if (origin.actor.id === proposal.createdBy.id) {
        throw new AppError('configuration.same_person', {
          detail: 'You proposed it. Ask somebody else to publish it.',
        });
      }
      const now = clock.now();
      if (proposal.publishAt === undefined || proposal.publishAt <= now) {
        const version = await publish(tx, proposal, { from: 'open', reviewed: true, granter, origin });
        return { proposal: await getProposal(tx, namespace, id), version };
      }
      if (proposal.own !== undefined && refersToClientSecret(proposal.own)) {
        await clientSecrets.ensure(tx, namespace, { granter, origin });
      }
      const locked = await findProposalForUpdate(tx, id);
      if (locked?.state !== 'open') throw closed(locked);
      await updateApproved(tx, id, origin.actor, now);
      await schedule.add(tx, id, proposal.publishAt);
      await record(tx, 'configuration.proposal_approved', namespace, proposal, origin);
      return { proposal: await getProposal(tx, namespace, id) };
    },

    /** Takes a proposal back: its author, or who could publish it. */
    async withdraw(
      tx: Tx,
      input: { namespace: Namespace; id: string; mayPublish: boolean; origin: Origin },
    ): Promise<Proposal> {
      const { namespace, id, mayPublish, origin } = input;
      await getProposal(tx, namespace, id);
      await findNamespaceForUpdate(tx, namespace.id);
      const proposal = await findProposalForUpdate(tx, id);
      if (!proposal || (proposal.state !== 'open' && proposal.state !== 'scheduled')) throw closed(proposal);
      if (!mayPublish && proposal.createdBy.id !== origin.actor.id) {
        throw new AppError('kernel.forbidden', {
          detail: "Taking back another's proposal needs the permission configuration:publish.",
        });
      }
      await discard(tx, proposal, 'withdrawn');
      await record(tx, 'configuration.proposal_withdrawn', namespace, proposal, origin);
      return getProposal(tx, namespace, id);
    },
  };
}

/** What {@link createProposals} gives. */
export type Proposals = ReturnType<typeof createProposals>;
