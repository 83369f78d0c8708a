import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Extension, inheritanceProblem, maxDepth } from './inheritance-rules.ts';

const extension = (id: string, baseId: string): Extension => ({ id, name: id, baseId, baseName: baseId });
const node = (id: string) => ({ id, name: id });

test('a cycle is named with its way, also one over many', () => {
  assert.equal(inheritanceProblem(node('a'), [node('a')], []), 'makes a cycle: a → a');
  const line = [extension('b', 'c'), extension('c', 'd'), extension('d', 'a')];
  assert.equal(inheritanceProblem(node('a'), [node('b')], line), 'makes a cycle: a → b → c → d → a');
});

test('the longest line counts, above and below together; a diamond is no cycle', () => {
  const diamond = [extension('b', 'd'), extension('c', 'd')];
  assert.equal(inheritanceProblem(node('a'), [node('b'), node('c')], diamond), undefined);
  const ids = Array.from({ length: maxDepth + 1 }, (_, index) => `n${index}`);
  const chain = ids.slice(1, -1).map((id, index) => extension(id, ids[index + 2] ?? ''));
  assert.match(inheritanceProblem(node('n0'), [node('n1')], chain) ?? '', /a line of 9 namespaces.*: n0 → n1 .* → n8/);
  assert.equal(inheritanceProblem(node('n0'), [node('n2')], chain), undefined);
  const below = [extension('z', 'n0')];
  assert.match(inheritanceProblem(node('n0'), [node('n2')], [...chain, ...below]) ?? '', /: z → n0 → n2/);
});

test('one after the other, whatever is tried: what is accepted has neither cycle nor long line', () => {
  const ids = Array.from({ length: 12 }, (_, index) => `n${index}`);
  const change = fc.tuple(fc.constantFrom(...ids), fc.uniqueArray(fc.constantFrom(...ids), { maxLength: 3 }));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
      const bases = new Map<string, string[]>();
      const all = () => [...bases].flatMap(([id, list]) => list.map((base) => extension(id, base)));
      for (const [id, wanted] of changes) {
        const problem = inheritanceProblem(node(id), wanted.map(node), all());
        if (problem === undefined) bases.set(id, wanted);
      }
      const depth = (id: string, seen: readonly string[] = []): number => {
        assert.equal(seen.includes(id), false, `a cycle: ${[...seen, id].join(' → ')}`);
        return 1 + Math.max(0, ...(bases.get(id) ?? []).map((base) => depth(base, [...seen, id])));
      };
      for (const id of ids) assert.ok(depth(id) <= maxDepth);
    }),
  );
});
