import { Counter } from 'prom-client';
import type { Metrics } from '../../../kernel/index.ts';
import type { RolloutState } from './rollout.ts';

/** What an operator watches of rollouts. */
export function createRolloutMetrics({ registry }: Pick<Metrics, 'registry'>) {
  const ended = new Counter({
    name: 'gatehouse_rollouts_ended_total',
    help: 'Rollouts that ended on this node, by state: completed, stopped, failed, superseded',
    labelNames: ['state'],
    registers: [registry],
  });
  const slots = new Counter({
    name: 'gatehouse_restart_slots_granted_total',
    help: 'Restart slots that this node gave to instances',
    registers: [registry],
  });
  return {
    countEnd: (state: RolloutState) => ended.inc({ state }),
    countSlots: (count: number) => slots.inc(count),
  };
}

/** What {@link createRolloutMetrics} gives. */
export type RolloutMetrics = ReturnType<typeof createRolloutMetrics>;
