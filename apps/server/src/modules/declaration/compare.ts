import type { DeclarationChange, DeclarationStep, JsonObject } from '@gatehouse/contracts';

/** Fields that the declaration names and that are otherwise. Lists are compared as sets: their order means nothing. */
export function compare(
  declared: object,
  before: JsonObject | undefined,
  ordered: ReadonlySet<string> = new Set(),
): DeclarationChange[] {
  return Object.entries(declared).flatMap(([field, to]: [string, unknown]): DeclarationChange[] => {
    if (to === undefined) return [];
    const from: unknown = before?.[field];
    const text = (value: unknown) => canonical(value, ordered.has(field));
    if (before && text(from) === text(to)) return [];
    return [from === undefined ? { field, to } : { field, from, to }];
  });
}

/** A text that is equal for equal values, whatever the order of members and, unless it counts, of the entries of lists. */
function canonical(value: unknown, ordered: boolean): string {
  if (Array.isArray(value)) {
    const items = value.map((item) => canonical(item, ordered));
    return `[${(ordered ? items : items.sort()).join(',')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return `{${members
      .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member, ordered)}`)
      .sort()
      .join(',')}}`;
  }
  return JSON.stringify(value) ?? 'undefined';
}

/** The step that makes `before` what is declared: nothing there is created, no changes is unchanged. */
export function stepOf(
  kind: DeclarationStep['kind'],
  name: string,
  before: unknown,
  changes: DeclarationChange[],
  organization?: string,
): DeclarationStep {
  const action = before === undefined ? 'create' : changes.length > 0 ? 'update' : 'unchanged';
  return { action, kind, name, changes, ...(organization === undefined ? {} : { organization }) };
}

/** The step that deletes it. */
export function deletionOf(kind: DeclarationStep['kind'], name: string, organization?: string): DeclarationStep {
  return { action: 'delete', kind, name, changes: [], ...(organization === undefined ? {} : { organization }) };
}
