import { glob } from 'node:fs/promises';
import { relative, resolve, sep } from 'node:path';

/** Where tests live, relative to the repository. */
const unitPatterns = [
  'packages/*/src/**/*.test.ts',
  'packages/*/test/**/*.test.ts',
  'apps/*/src/**/*.test.ts',
  'examples/*/src/**/*.test.ts',
  'scripts/**/*.test.ts',
  'checks/**/*.test.ts',
];
/** Journeys start several programs each, so they run one after the other, after the rest. */
const journeyPatterns = ['apps/*/journeys/**/*.test.ts'];

export interface Selection {
  readonly units: string[];
  readonly journeys: string[];
}

/** The test files, or those of them that the paths (files, directories, patterns) name. */
export async function selectFiles(
  root: string,
  paths: readonly string[],
  options: { withoutBrowser: boolean },
): Promise<Selection> {
  const units = await find(root, unitPatterns);
  const journeys = await find(root, journeyPatterns);
  let wanted = new Set([...units, ...journeys]);
  if (paths.length > 0) {
    const named = new Set<string>();
    for (const path of paths) {
      const matched = await match(root, path, wanted);
      if (matched.length === 0) throw new Error(`No test file matches ${path}.`);
      for (const file of matched) named.add(file);
    }
    wanted = named;
  }
  const isSelected = (file: string): boolean => wanted.has(file) && !(options.withoutBrowser && needsBrowser(file));
  const selection = { units: units.filter(isSelected), journeys: journeys.filter(isSelected) };
  if (selection.units.length + selection.journeys.length === 0) throw new Error('There is no test to run.');
  return selection;
}

/** Tests in a browser say so in their name. */
export function needsBrowser(file: string): boolean {
  return file.endsWith('.browser.test.ts');
}

async function find(root: string, patterns: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for await (const file of glob(patterns, { cwd: root, exclude: (name) => name === 'node_modules' })) files.push(file);
  return files.sort();
}

async function match(root: string, path: string, files: ReadonlySet<string>): Promise<string[]> {
  const named = relative(root, resolve(path));
  const inside = [...files].filter((file) => file === named || named === '' || file.startsWith(named + sep));
  if (inside.length > 0) return inside;
  return (await find(root, [path])).filter((file) => files.has(file));
}
