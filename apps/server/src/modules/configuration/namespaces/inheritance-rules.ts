/** Namespaces in one line of inheritance, from the one that gets its values to the last one that gives. */
export const maxDepth = 8;

/** That one namespace extends another. */
export interface Extension {
  readonly id: string;
  readonly name: string;
  readonly baseId: string;
  readonly baseName: string;
}

/**
 * What forbids that `target` extends these bases: a cycle, or a line of more than {@link maxDepth}; undefined when
 * nothing does. `extensions` are those above the bases and below the target, without the target's own.
 */
export function inheritanceProblem(
  target: { readonly id: string; readonly name: string },
  bases: readonly { readonly id: string; readonly name: string }[],
  extensions: readonly Extension[],
): string | undefined {
  const above = new Map<string, { id: string; name: string }[]>();
  const below = new Map<string, { id: string; name: string }[]>();
  const push = (map: typeof above, key: string, value: { id: string; name: string }) =>
    map.set(key, [...(map.get(key) ?? []), value]);
  for (const { id, name, baseId, baseName } of extensions) {
    if (id === target.id) continue;
    push(above, id, { id: baseId, name: baseName });
    push(below, baseId, { id, name });
  }

  /** A way from `from` up to the target, if there is one. */
  const seen = new Set<string>();
  const wayToTarget = (from: { id: string; name: string }): string[] | undefined => {
    if (from.id === target.id) return [from.name];
    if (seen.has(from.id)) return undefined;
    seen.add(from.id);
    for (const next of above.get(from.id) ?? []) {
      const way = wayToTarget(next);
      if (way) return [from.name, ...way];
    }
    return undefined;
  };
  for (const base of bases) {
    const way = wayToTarget(base);
    if (way) return `makes a cycle: ${[target.name, ...way].join(' → ')}`;
  }

  const longest = (map: typeof above) => {
    const known = new Map<string, string[]>();
    const line = (from: { id: string; name: string }): string[] => {
      const before = known.get(from.id);
      if (before) return before;
      let best: string[] = [];
      for (const next of map.get(from.id) ?? []) {
        const way = line(next);
        if (way.length > best.length) best = way;
      }
      const made = [from.name, ...best];
      known.set(from.id, made);
      return made;
    };
    return line;
  };
  const up = longest(above);
  const upward = bases.map(up).reduce<string[]>((best, way) => (way.length > best.length ? way : best), []);
  const [, ...downward] = longest(below)(target);
  const line = [...downward.toReversed(), target.name, ...upward];
  return line.length > maxDepth
    ? `makes a line of ${line.length} namespaces; at most ${maxDepth} are accepted: ${line.join(' → ')}`
    : undefined;
}
