import type { WrittenConfiguration } from '@gatehouse/configuration';
import type { JsonObject } from '@gatehouse/contracts';
import {
  AppError,
  addSeconds,
  type Clock,
  type Db,
  invalidField,
  isAppError,
  type Jobs,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Granter } from '../../identity/index.ts';
import { type Namespace, namespacePath } from '../namespaces/namespace.ts';
import { findNamespaceById, findNamespaceForUpdate } from '../namespaces/namespace-store.ts';
import type { ClientSecrets } from '../references/client-secrets.ts';
import { refersToClientSecret } from '../references/reference.ts';
import { deleteSecretValues } from '../values/secret-value-store.ts';
import { isStoredSecret } from '../values/secret-values.ts';
import type { Version } from '../versions/version.ts';
import type { Versions } from '../versions/version-service.ts';
import type { Proposal } from './proposal.ts';
import {
  countLivingProposals,
  findProposal,
  findProposalForUpdate,
  insertProposal,
  listProposals,
  updateApproved,
  updateEnded,
} from './proposal-store.ts';

/** Proposals of a namespace that wait at once. */
export const maxLivingProposals = 50;
/** How far ahead a publication can be scheduled, seconds. */
export const maxAheadSeconds = 366 * 86_400;
const task = 'configuration-publish-proposal';

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
  db: Db;
  clock: Clock;
  random: Pick<Random, 'id'>;
  jobs: Pick<Jobs, 'add' | 'register'>;
  audit: Pick<Audit, 'append'>;
  versions: Pick<Versions, 'prepare' | 'prepareRollback' | 'publishStored' | 'rollback'>;
  clientSecrets: Pick<ClientSecrets, 'ensure'>;
}) {
  const { db, clock, random, jobs, audit, versions, clientSecrets } = deps;

  const record = (tx: Tx, action: string, namespace: Namespace, proposal: Proposal, origin: Origin, details = {}) =>
    audit.append(tx, {
      action,
      organization: namespace.organization,
      origin,
      target: { type: 'namespace', id: namespacePath(namespace) },
      details: {
        service: namespace.service,
        namespace: namespace.name,
        proposal: proposal.id,
        parent_version: proposal.parentVersion,
        restores: proposal.restores,
        publish_at: proposal.publishAt?.toISOString(),
        ...details,
      },
    });

  const schedule = (tx: Tx, id: string, publishAt: Date) =>
    jobs.add(tx, task, { proposal: id }, { runAt: publishAt, key: `${task} ${id}` });

  const getProposal = async (tx: Reader, namespace: Pick<Namespace, 'id'>, id: string): Promise<Proposal> => {
    const proposal = await findProposal(tx, id);
    if (proposal?.namespaceId !== namespace.id) {
      throw new AppError('kernel.not_found', { detail: 'The namespace has no proposal with this id.' });
    }
    return proposal;
  };

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
        await publish(tx, proposal, {
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
        await discard(tx, proposal, 'failed', reason);
        await record(tx, 'configuration.proposal_failed', namespace, proposal, origin, { reason });
      });
    }
  });

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
        const refers = [...content.configuration.values()].some(
          (value) => value.kind === 'client' && value.what === 'secret',
        );
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
      if (approved && publishAt !== undefined) await schedule(tx, proposal.id, publishAt);
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
      await schedule(tx, id, proposal.publishAt);
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

function closed(proposal: Proposal | undefined): AppError {
  return new AppError('configuration.proposal_closed', {
    detail: `The proposal is ${proposal?.state ?? 'gone'}.`,
    ...(proposal === undefined ? {} : { extensions: { state: proposal.state } }),
  });
}
