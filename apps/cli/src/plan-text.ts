import type { DeclarationChange, DeclarationPlan, DeclarationStep } from '@gatehouse/contracts';
import type { Output, Paint } from './output.ts';
import { oneLine } from './values.ts';

const signs: Readonly<Record<DeclarationStep['action'], { sign: string; paint: Paint }>> = {
  create: { sign: '+', paint: 'add' },
  update: { sign: '~', paint: 'change' },
  delete: { sign: '-', paint: 'remove' },
  unchanged: { sign: ' ', paint: 'quiet' },
};

/** A plan for people: a line a step, what is unchanged left out, and the sum. */
export function planText({ steps, summary }: DeclarationPlan, paint: Output['paint']): string[] {
  return [
    ...steps.filter((step) => step.action !== 'unchanged').flatMap((step) => stepText(step, paint)),
    summaryText(summary),
  ];
}

/** True when the plan does something. */
export function changesAnything({ summary }: DeclarationPlan): boolean {
  return summary.create + summary.update + summary.delete > 0;
}

function summaryText({ create, update, delete: remove, unchanged }: DeclarationPlan['summary']): string {
  if (create + update + remove === 0) return `Nothing to change: ${unchanged} as declared.`;
  return `${create} to create, ${update} to update, ${remove} to delete, ${unchanged} unchanged.`;
}

function stepText(step: DeclarationStep, paint: Output['paint']): string[] {
  const { sign, paint: style } = signs[step.action];
  const isInName = step.kind === 'service' || step.kind === 'namespace';
  const where = step.organization === undefined || isInName ? '' : ` in ${step.organization}`;
  return [
    paint(style, `${sign} ${step.kind.replace('_', ' ')} ${oneLine(step.name)}${where}`),
    ...step.changes.map((change) => `    ${oneLine(changeText(change))}`),
  ];
}

function changeText({ field, from, to }: DeclarationChange): string {
  if (from === undefined && to === undefined) return field;
  if (from === undefined) return `${field}: ${valueText(to)}`;
  return `${field}: ${valueText(from)} → ${to === undefined ? 'none' : valueText(to)}`;
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(valueText).join(', ');
  return JSON.stringify(value);
}
