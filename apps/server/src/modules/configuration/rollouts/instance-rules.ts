import { addSeconds } from '../../../kernel/index.ts';
import type { Instance, ReportedState } from './rollout.ts';

/** What an agent says about one version. */
export interface Report {
  readonly version: number;
  readonly state: ReportedState;
  readonly reason?: string | undefined;
}

/** An instance after a report, and what follows. */
export interface Reported {
  readonly instance: Instance;
  /** The version does not work there: a rollout of it stops. */
  readonly failed: boolean;
}

/** Why an instance is unhealthy that has said nothing. */
export const noReportReason = 'no report within the lease';

/** An instance nobody has heard of yet. */
export function newInstance(namespaceId: string, agentId: string, version: number, now: Date): Instance {
  return {
    namespaceId,
    agentId,
    state: 'waiting',
    version,
    runningVersion: undefined,
    contentHash: undefined,
    available: false,
    failing: false,
    reason: undefined,
    since: now,
    lastSeenAt: now,
    slotVersion: undefined,
    reportDueAt: undefined,
  };
}

/**
 * The instance after a report. `contentHash` is the content of the version reported. An agent tells the truth about its
 * host, so every report is taken, in whatever order; what a rollout makes of it is decided elsewhere.
 */
export function applyReport(
  before: Instance,
  report: Report,
  contentHash: string,
  { now, leaseSeconds }: { now: Date; leaseSeconds: number },
): Reported {
  const { version, state } = report;
  // Late, after the version was applied: it says nothing new.
  if (state === 'received' && before.runningVersion === version && before.state !== 'stopped') {
    return { instance: { ...before, lastSeenAt: now }, failed: false };
  }
  const sameContent = before.contentHash === contentHash;
  const reported: Instance = {
    ...before,
    state,
    version,
    reason: report.reason,
    since: before.state === state && before.version === version ? before.since : now,
    lastSeenAt: now,
  };
  const running: Instance = { ...reported, runningVersion: version, contentHash };
  if (state === 'healthy') {
    return { instance: { ...running, available: true, failing: false, ...slotAfter(before, version) }, failed: false };
  }
  if (state === 'unhealthy') {
    const instance = { ...running, available: false, failing: true, ...slotAfter(before, version) };
    // No news from one that failed with this content before, unless it was restarted for it.
    return { instance, failed: before.slotVersion === version || !(before.failing && sameContent) };
  }
  if (state === 'applied') {
    const reportDueAt = before.reportDueAt ?? addSeconds(now, leaseSeconds);
    const failing = before.failing && sameContent;
    return { instance: { ...running, available: false, failing, reportDueAt }, failed: false };
  }
  if (state === 'rejected') return { instance: { ...reported, ...slotAfter(before, version) }, failed: true };
  if (state === 'stopped') {
    const instance = { ...reported, available: false, slotVersion: undefined, reportDueAt: undefined };
    return { instance, failed: false };
  }
  return { instance: reported, failed: false };
}

/** A report on a version ends the slot for it and for older ones; a slot for a newer version is still to be used. */
function slotAfter(before: Instance, version: number): Pick<Instance, 'slotVersion' | 'reportDueAt'> {
  return before.slotVersion !== undefined && before.slotVersion > version
    ? { slotVersion: before.slotVersion, reportDueAt: before.reportDueAt }
    : { slotVersion: undefined, reportDueAt: undefined };
}

/** The instance with a slot for `version`. */
export function grantSlot(before: Instance, version: number, leaseSeconds: number, now: Date): Instance {
  return {
    ...before,
    ...(before.state === 'stopped' ? { state: 'waiting', version, since: now, reason: undefined } : {}),
    slotVersion: version,
    reportDueAt: addSeconds(now, leaseSeconds),
    lastSeenAt: now,
  };
}

/**
 * The instance when its time to report has passed: it counts as unhealthy. Whether it restarted, nobody knows: so it has
 * no content that it needs no restart for, and whatever is published next waits for it.
 */
export function expire(before: Instance, now: Date): Instance {
  const isUnknown = before.slotVersion !== undefined && before.slotVersion !== before.runningVersion;
  return {
    ...before,
    state: 'unhealthy',
    version: before.slotVersion ?? before.runningVersion ?? before.version,
    contentHash: isUnknown ? undefined : before.contentHash,
    available: false,
    failing: true,
    reason: noReportReason,
    since: now,
    slotVersion: undefined,
    reportDueAt: undefined,
  };
}
