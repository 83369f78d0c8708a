import type { JsonObject } from '@gatehouse/contracts';
import type { Output } from './output.ts';
import { count, text } from './values.ts';

/** `2 done, 1 pending`: where the instances of a rollout are. */
export function countsText(rollout: JsonObject): string {
  const places = Object.entries(objectOf(rollout, 'counts')).filter(([, number]) => number !== 0);
  return places.map(([place, number]) => `${Number(number)} ${place.replaceAll('_', ' ')}`).join(', ') || 'none';
}

/** A policy in one line. */
export function policyText(policy: JsonObject): string {
  const unavailable = Number(policy['max_unavailable']);
  const canary = Number(policy['canary_percent']);
  return [
    `${count(unavailable, 'instance')} down at once`,
    canary === 0 ? 'no canary' : `canary ${canary} %`,
    `bake ${text(policy, 'bake_seconds')} s`,
    `lease ${text(policy, 'lease_seconds')} s`,
    `automatic rollback ${policy['automatic_rollback'] === true ? 'on' : 'off'}`,
  ].join(', ');
}

/** Says how a rollout stands. */
export function sayRollout(output: Output, rollout: JsonObject): void {
  output.json(rollout);
  const bake = text(rollout, 'bake_until');
  const phase = text(rollout, 'phase').replaceAll('_', ' ');
  const where = phase === '' ? '' : ` (${phase}${bake === '' ? '' : ` until ${bake}`})`;
  output.line(`Version ${text(rollout, 'version')}: ${text(rollout, 'state')}${where}`);
  output.line(`Instances: ${countsText(rollout)}`);
  const reason = text(rollout, 'reason');
  if (reason !== '') output.line(`Reason: ${reason}`);
  const stable = text(rollout, 'stable_version');
  if (stable !== '') output.line(`Stable version: ${stable}`);
  if (rollout['policy']) output.line(`Policy: ${policyText(objectOf(rollout, 'policy'))}`);
}

function objectOf(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}
