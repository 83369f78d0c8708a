import { type NamedStatement, named, type Reader, type Tx } from '../../../kernel/index.ts';
import { defaultPolicy, type RolloutPolicy } from './rollout.ts';

interface PolicyRow {
  max_unavailable: number;
  canary_percent: number;
  bake_seconds: number;
  lease_seconds: number;
  automatic_rollback: boolean;
}

const find: NamedStatement = {
  name: 'configuration_find_rollout_policy',
  text: `select max_unavailable, canary_percent, bake_seconds, lease_seconds, automatic_rollback
    from configuration.rollout_policies where service_id = $1`,
};

/** The policy of a service; the defaults when it has set none. */
export async function findPolicy(tx: Reader, serviceId: string): Promise<RolloutPolicy> {
  const [row] = await named<PolicyRow>(tx, find, [serviceId]);
  if (!row) return defaultPolicy;
  return {
    maxUnavailable: row.max_unavailable,
    canaryPercent: row.canary_percent,
    bakeSeconds: row.bake_seconds,
    leaseSeconds: row.lease_seconds,
    automaticRollback: row.automatic_rollback,
  };
}

const save: NamedStatement = {
  name: 'configuration_save_rollout_policy',
  text: `insert into configuration.rollout_policies (service_id, max_unavailable, canary_percent, bake_seconds,
      lease_seconds, automatic_rollback, updated_at, updated_by) values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (service_id) do update set max_unavailable = excluded.max_unavailable,
      canary_percent = excluded.canary_percent, bake_seconds = excluded.bake_seconds,
      lease_seconds = excluded.lease_seconds, automatic_rollback = excluded.automatic_rollback,
      updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
};

/** Replaces the policy of a service. */
export async function savePolicy(
  tx: Tx,
  serviceId: string,
  policy: RolloutPolicy,
  by: { id: string; at: Date },
): Promise<void> {
  await named(tx, save, [
    serviceId,
    policy.maxUnavailable,
    policy.canaryPercent,
    policy.bakeSeconds,
    policy.leaseSeconds,
    policy.automaticRollback,
    by.at,
    by.id,
  ]);
}
