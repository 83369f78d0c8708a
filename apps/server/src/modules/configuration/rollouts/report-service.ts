import { type Clock, createGroupCommit, type Db, type Outcome, type Tx } from '../../../kernel/index.ts';
import { listAgentsById } from '../agents/agent-store.ts';
import { applyReport, newInstance, type Report } from './instance-rules.ts';
import { findInstances, saveInstances } from './instance-store.ts';
import type { Instance } from './rollout.ts';
import { isDown } from './rollout-rules.ts';
import type { RolloutLife, Stand } from './rollout-service.ts';
import { findTargets } from './rollout-store.ts';
import { noSuchVersion, nothingPublished } from './slot-service.ts';

/** What an agent says about a namespace. */
export interface InstanceReport {
  readonly namespaceId: string;
  readonly agentId: string;
  readonly report: Report;
}

/** The instance after its report, and the newest version then. */
export interface ReportAnswer {
  readonly instance: Instance;
  readonly latestVersion: number;
}

/** Takes in what instances report. Reports that come in a crowd share a transaction and the lock of their namespace. */
export function createReports(deps: {
  db: Db;
  clock: Clock;
  life: Pick<RolloutLife, 'lock' | 'settle' | 'schedule' | 'wake' | 'fail'>;
}) {
  const { db, clock, life } = deps;

  const takeIn = async (tx: Tx, stand: Stand, reports: readonly InstanceReport[]): Promise<Outcome<ReportAnswer>[]> => {
    const { namespace, latest, policy } = stand;
    const now = clock.now();
    const targets = await findTargets(
      tx,
      namespace.id,
      reports.map(({ report }) => report.version),
    );
    const instances = await findInstances(
      tx,
      namespace.id,
      reports.map(({ agentId }) => agentId),
    );
    const changed = new Map<string, Instance>();
    let failed: Instance | undefined;
    let freed = false;
    let due = false;
    const outcomes = reports.map(({ agentId, report }): Outcome<ReportAnswer> => {
      const target = targets.get(report.version);
      if (!target) return { error: noSuchVersion(report.version, latest.version) };
      const before = instances.get(agentId) ?? newInstance(namespace.id, agentId, report.version, now);
      const options = { now, leaseSeconds: policy.leaseSeconds };
      const after = applyReport(before, report, target.contentHash, options);
      instances.set(agentId, after.instance);
      changed.set(agentId, after.instance);
      freed ||= isDown(before) && !isDown(after.instance);
      due ||= after.instance.reportDueAt !== before.reportDueAt;
      if (after.failed && report.version === latest.version) failed ??= after.instance;
      return { value: { instance: after.instance, latestVersion: latest.version } };
    });
    await saveInstances(tx, [...changed.values()]);
    if (freed) await life.wake(tx, namespace.id);
    if (due) await life.schedule(tx, namespace.id);
    if (stand.rollout.state !== 'running') return outcomes;
    if (failed) {
      const agent = (await listAgentsById(tx, [failed.agentId])).get(failed.agentId);
      await life.fail(tx, stand, { instance: failed, name: agent?.name ?? failed.agentId });
    } else {
      await life.settle(tx, stand);
    }
    return outcomes;
  };

  return createGroupCommit<InstanceReport, ReportAnswer>(db, async (tx, reports) => {
    const outcomes = new Map<InstanceReport, Outcome<ReportAnswer>>();
    // One order of locking for all, so that no two crowds wait for each other.
    for (const namespaceId of [...new Set(reports.map((one) => one.namespaceId))].sort()) {
      const own = reports.filter((one) => one.namespaceId === namespaceId);
      const stand = await life.lock(tx, namespaceId);
      const taken = stand ? await takeIn(tx, stand, own) : own.map(() => ({ error: nothingPublished() }));
      for (const [index, one] of own.entries()) outcomes.set(one, taken[index] as Outcome<ReportAnswer>);
    }
    return reports.map((one) => outcomes.get(one) as Outcome<ReportAnswer>);
  });
}

/** Takes in one report. */
export type TakeReport = ReturnType<typeof createReports>;
