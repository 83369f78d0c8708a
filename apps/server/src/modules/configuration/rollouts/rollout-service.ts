import type { JsonObject } from '@gatehouse/contracts';
import {
  AppError,
  addSeconds,
  type Changes,
  type Clock,
  isAppError,
  type Jobs,
  type Origin,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { type Namespace, namespaceEntry } from '../namespaces/namespace.ts';
import { findNamespaceForUpdate } from '../namespaces/namespace-store.ts';
import type { Version } from '../versions/version.ts';
import type { Versions } from '../versions/version-service.ts';
import { expire } from './instance-rules.ts';
import { countFleet, countPlacesOf, findNextDue, listDueInstances, saveInstances } from './instance-store.ts';
import { findPolicy } from './policy-store.ts';
import type { Instance, Rollout, RolloutPolicy } from './rollout.ts';
import type { RolloutMetrics } from './rollout-metrics.ts';
import { decideFailure, firstPhase, nextStep, type Step } from './rollout-rules.ts';
import {
  findRollout,
  findRunningRollout,
  findStableVersion,
  findTargets,
  type Published,
  returnToRollbackSavepoint,
  saveRollout,
  setRollbackSavepoint,
} from './rollout-store.ts';

/** The job that looks after one namespace. */
export const settleTask = 'configuration-settle-rollout';
/** Told with a namespace's id when one who waits for a slot there may have better luck now. */
export const slotTopic = 'configuration-slots';

/** A namespace under its lock, with all that decides on its rollout. */
export interface Stand {
  readonly namespace: Namespace;
  readonly latest: Published;
  readonly rollout: Rollout;
  readonly policy: RolloutPolicy;
}

/** An instance on which a version does not work. */
export interface Failure {
  readonly instance: Instance;
  readonly name: string;
}

interface RolloutDeps {
  clock: Clock;
  jobs: Pick<Jobs, 'add'>;
  changes: Pick<Changes, 'announce'>;
  audit: Pick<Audit, 'append'>;
  metrics: RolloutMetrics;
  /** Publishing begins rollouts, and a rollout that fails publishes. */
  rollback: Versions['rollback'];
}

const system: Origin = { actor: { type: 'system', id: 'gatehouse' } };

/**
 * The life of rollouts. Everything happens under the lock of the namespace's row, which publishing takes too: so there is
 * one rollout under way in a namespace, and no two nodes give the same slot away. Time passes for a rollout only when
 * somebody looks (`settle`): whoever asks for a slot, reports, or the job.
 */
export function createRolloutLife({ clock, jobs, changes, audit, metrics, rollback }: RolloutDeps) {
  /** Takes the lock; undefined when the namespace is gone or has no version yet. */
  const lock = async (tx: Tx, namespaceId: string): Promise<Stand | undefined> => {
    const namespace = await findNamespaceForUpdate(tx, namespaceId);
    if (!namespace || namespace.latestVersion === 0) return undefined;
    const version = namespace.latestVersion;
    const rollout = await findRollout(tx, namespaceId, version);
    const latest = (await findTargets(tx, namespaceId, [version])).get(version);
    if (!rollout || !latest) throw new Error(`configuration: no rollout of version ${version} of ${namespaceId}`);
    return { namespace, latest, rollout, policy: await findPolicy(tx, namespace.serviceId) };
  };

  const wake = (tx: Tx, namespaceId: string) => changes.announce(tx, slotTopic, namespaceId);

  const record = (tx: Tx, action: string, namespace: Namespace, details: JsonObject, origin = system) =>
    audit.append(tx, namespaceEntry(namespace, { action, origin, details }));

  /** Asks for a look at the namespace when its next report or bake is due, should nobody come by until then. */
  const schedule = async (tx: Tx, namespaceId: string): Promise<void> => {
    const due = await findNextDue(tx, namespaceId);
    if (!due) return;
    // A second later, for a node whose clock is a little behind the database's.
    const options = { runAt: addSeconds(due, 1), key: `${settleTask} ${namespaceId}` };
    await jobs.add(tx, settleTask, { namespace_id: namespaceId }, options);
  };

  const change = async (tx: Tx, stand: Stand, changed: Partial<Rollout>): Promise<Stand> => {
    const rollout: Rollout = { ...stand.rollout, ...changed };
    await saveRollout(tx, rollout);
    await wake(tx, stand.namespace.id);
    return { ...stand, rollout };
  };

  /** Ends a rollout and keeps where its instances were. */
  const end = async (tx: Tx, stand: Stand, changed: Pick<Rollout, 'state'> & Partial<Rollout>): Promise<Stand> => {
    const now = clock.now();
    const counts = await countPlacesOf(tx, stand.namespace.id, stand.latest, now);
    metrics.countEnd(changed.state);
    return change(tx, stand, { bakeUntil: undefined, counts, endedAt: now, ...changed });
  };

  const take = async (tx: Tx, stand: Stand, step: Step): Promise<Stand> => {
    if (step.to !== 'completed') {
      const next = await change(tx, stand, { phase: step.to, bakeUntil: step.bakeUntil });
      if (step.bakeUntil) await schedule(tx, stand.namespace.id);
      return next;
    }
    const ended = await end(tx, stand, { state: 'completed' });
    const instances = ended.rollout.counts?.done ?? 0;
    const version = stand.latest.version;
    if (instances > 0) await record(tx, 'rollout.completed', stand.namespace, { version, instances });
    return ended;
  };

  /** Takes all steps that are due. */
  const advance = async (tx: Tx, stand: Stand): Promise<Stand> => {
    let current = stand;
    while (current.rollout.state === 'running') {
      const now = clock.now();
      const fleet = await countFleet(tx, current.namespace.id, current.latest, now);
      const step = nextStep(current.rollout, fleet, current.policy, now);
      if (!step) break;
      current = await take(tx, current, step);
    }
    return current;
  };

  /**
   * Publishes the old content again. Answers the new version's number, or why there is none: then nothing of it has
   * happened, and the failure is recorded all the same.
   */
  const publishOld = async (tx: Tx, stand: Stand, restores: number, cause: JsonObject): Promise<number | string> => {
    const { namespace, latest } = stand;
    await setRollbackSavepoint(tx);
    try {
      const message = `Automatic rollback of version ${latest.version}`;
      const kind = 'automatic_rollback';
      const version = await rollback(tx, { namespace, restores, kind, cause, message, origin: system });
      if (version.contentHash !== latest.contentHash) return version.version;
      await returnToRollbackSavepoint(tx);
      return `Version ${restores} comes to the same content today, so it was not published.`;
    } catch (error) {
      if (!isAppError(error)) throw error;
      await returnToRollbackSavepoint(tx);
      return `Version ${restores} could not be published again: ${error.message}`;
    }
  };

  /** Stops the rollout because of an instance; with the policy's leave, the old content comes back as a new version. */
  const fail = async (tx: Tx, stand: Stand, { instance, name }: Failure): Promise<void> => {
    const { namespace, latest, policy } = stand;
    const stable = await findStableVersion(tx, namespace.id);
    const outcome = decideFailure(latest.kind, policy, latest, stable);
    const said = `Instance ${name} is ${instance.state} with version ${latest.version}: ${instance.reason ?? 'no reason given'}.`;
    const cause: JsonObject = {
      version: latest.version,
      instance: name,
      agent_id: instance.agentId,
      state: instance.state,
      ...(instance.reason === undefined ? {} : { reason: instance.reason }),
    };
    const state = outcome.do === 'fail' ? 'failed' : 'stopped';
    // Stopped first: what is published below supersedes only what still runs.
    const stopped = await end(tx, stand, { state, cause, reason: said });
    const back = outcome.do === 'roll_back' ? await publishOld(tx, stopped, outcome.to, cause) : outcome.why;
    const then = typeof back === 'string' ? back : `Version ${back} has the content of version ${stable?.version}.`;
    await saveRollout(tx, { ...stopped.rollout, reason: `${said} ${then}` });
    await record(tx, state === 'failed' ? 'rollout.failed' : 'rollout.stopped', namespace, {
      ...cause,
      ...(typeof back === 'string' ? {} : { restored_by: back }),
    });
  };

  /** Looks at what time has brought: leases that have ended, bakes that are over. Answers how it stands then. */
  const settle = async (tx: Tx, stand: Stand): Promise<Stand> => {
    const now = clock.now();
    const due = await listDueInstances(tx, stand.namespace.id, now);
    if (due.length > 0) {
      const expired = due.map((one) => ({ ...one, instance: expire(one.instance, now) }));
      await saveInstances(
        tx,
        expired.map((one) => one.instance),
      );
      await wake(tx, stand.namespace.id);
      await schedule(tx, stand.namespace.id);
      const failure = expired.find((one) => !one.revoked && one.instance.version === stand.latest.version);
      if (failure && stand.rollout.state === 'running') {
        await fail(tx, stand, failure);
        return (await lock(tx, stand.namespace.id)) ?? stand;
      }
    }
    return advance(tx, stand);
  };

  return {
    lock,
    settle,
    schedule,
    wake,

    /** An instance has failed with the newest version. */
    fail,

    /** In the transaction of a publication: the version's rollout begins, and one under way ends. */
    async begin(tx: Tx, namespace: Namespace, version: Version): Promise<void> {
      const policy = await findPolicy(tx, namespace.serviceId);
      const running = await findRunningRollout(tx, namespace.id);
      const before = running && (await findTargets(tx, namespace.id, [running.version])).get(running.version);
      if (running && before) {
        await end(tx, { namespace, latest: before, rollout: running, policy }, { state: 'superseded' });
      }
      const now = clock.now();
      const latest = { version: version.version, contentHash: version.contentHash, kind: version.kind };
      const phase = firstPhase(version.kind, policy);
      const fleet = await countFleet(tx, namespace.id, latest, now);
      // Where nobody has to change there is nothing to bake.
      const step = nextStep({ phase, bakeUntil: undefined }, fleet, { ...policy, bakeSeconds: 0 }, now);
      const isOver = step?.to === 'completed';
      const rollout: Rollout = {
        namespaceId: namespace.id,
        version: version.version,
        state: isOver ? 'completed' : 'running',
        phase,
        bakeUntil: undefined,
        reason: undefined,
        cause: undefined,
        counts: undefined,
        startedAt: now,
        endedAt: isOver ? now : undefined,
      };
      await saveRollout(tx, rollout);
      if (fleet.size === 0) return;
      await wake(tx, namespace.id);
      const stand = { namespace, latest, rollout, policy };
      await (isOver ? end(tx, stand, { state: 'completed' }) : advance(tx, stand));
    },

    /** A person stops a rollout: nobody gets a slot until it is resumed. */
    async stop(tx: Tx, namespaceId: string, version: number, reason: string | undefined, origin: Origin) {
      const stand = await getOpen(tx, namespaceId, version, ['running'], 'is not running');
      const by = `Stopped by ${origin.actor.id}${reason === undefined ? '.' : `: ${reason}`}`;
      const stopped = await end(tx, stand, { state: 'stopped', reason: by, cause: { actor: origin.actor.id } });
      await record(tx, 'rollout.stopped', stand.namespace, { version, actor: origin.actor.id }, origin);
      return stopped.rollout;
    },

    /** A person lets a stopped or failed rollout go on, from its first phase: what is healthy already counts. */
    async resume(tx: Tx, namespaceId: string, version: number, origin: Origin) {
      const stand = await getOpen(tx, namespaceId, version, ['stopped', 'failed'], 'is neither stopped nor failed');
      const resumed = await change(tx, stand, {
        state: 'running',
        phase: firstPhase(stand.latest.kind, stand.policy),
        reason: undefined,
        cause: undefined,
        counts: undefined,
        endedAt: undefined,
      });
      await record(tx, 'rollout.resumed', stand.namespace, { version }, origin);
      return (await advance(tx, resumed)).rollout;
    },
  };

  async function getOpen(
    tx: Tx,
    namespaceId: string,
    version: number,
    states: readonly Rollout['state'][],
    otherwise: string,
  ): Promise<Stand> {
    const stand = await lock(tx, namespaceId);
    if (!stand || version > stand.latest.version) {
      throw new AppError('kernel.not_found', { detail: `There is no rollout of version ${version}.` });
    }
    if (version < stand.latest.version) {
      throw new AppError('configuration.rollout_closed', {
        detail: `Version ${stand.latest.version} is newer, so the rollout of version ${version} is over.`,
      });
    }
    if (!states.includes(stand.rollout.state)) {
      throw new AppError('configuration.rollout_closed', {
        detail: `The rollout of version ${version} ${otherwise}: it is ${stand.rollout.state}.`,
      });
    }
    return stand;
  }
}

/** What {@link createRolloutLife} gives. */
export type RolloutLife = ReturnType<typeof createRolloutLife>;
