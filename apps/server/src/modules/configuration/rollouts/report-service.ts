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

  /** Those of one namespace share a transaction: one that held two locks could wait for a publication that holds one. */
  const crowdOf = (namespaceId: string) =>
    createGroupCommit<InstanceReport, ReportAnswer>(db, async (tx, reports) => {
      const stand = await life.lock(tx, namespaceId);
      return stand ? takeIn(tx, stand, reports) : reports.map(() => ({ error: nothingPublished() }));
    });
  const crowds = new Map<string, { readonly take: ReturnType<typeof crowdOf>; underWay: number }>();

  return async (report: InstanceReport): Promise<ReportAnswer> => {
    const { namespaceId } = report;
    const crowd = crowds.get(namespaceId) ?? { take: crowdOf(namespaceId), underWay: 0 };
    crowds.set(namespaceId, crowd);
    crowd.underWay += 1;
    try {
      return await crowd.take(report);
    } finally {
      crowd.underWay -= 1;
      if (crowd.underWay === 0) crowds.delete(namespaceId);
    }
  };
}

/** Takes in one report. */
export type TakeReport = ReturnType<typeof createReports>;
