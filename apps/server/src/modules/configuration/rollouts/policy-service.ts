import type { JsonObject } from '@gatehouse/contracts';
import type { Clock, Origin, Tx } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Service } from '../../identity/index.ts';
import { findPolicy, savePolicy } from './policy-store.ts';
import type { RolloutPolicy } from './rollout.ts';

/** A policy as it is sent and audited. */
export function policyToWire(policy: RolloutPolicy) {
  return {
    max_unavailable: policy.maxUnavailable,
    canary_percent: policy.canaryPercent,
    bake_seconds: policy.bakeSeconds,
    lease_seconds: policy.leaseSeconds,
    automatic_rollback: policy.automaticRollback,
  };
}

/** How the instances of a service take changes. */
export function createPolicies({ clock, audit }: { clock: Clock; audit: Pick<Audit, 'append'> }) {
  return {
    /** Replaces the policy. It holds from the next decision on, for rollouts under way too. */
    async setPolicy(
      tx: Tx,
      service: Pick<Service, 'id' | 'clientId' | 'organization'>,
      policy: RolloutPolicy,
      origin: Origin,
    ): Promise<void> {
      const before = await findPolicy(tx, service.id);
      await savePolicy(tx, service.id, policy, { id: origin.actor.id, at: clock.now() });
      const details: JsonObject = { before: policyToWire(before), after: policyToWire(policy) };
      await audit.append(tx, {
        action: 'rollout_policy.updated',
        organization: service.organization,
        origin,
        target: { type: 'service', id: service.clientId },
        details,
      });
    },
  };
}

/** What {@link createPolicies} gives. */
export type Policies = ReturnType<typeof createPolicies>;
