import { createRequire } from 'node:module';
import type { ParsedNode } from 'yaml';
import { DeclarationError } from './errors.ts';

/** Loaded by the first file: most servers never read one, and do without its memory. */
const loadYaml = (): typeof import('yaml') => createRequire(import.meta.url)('yaml') as typeof import('yaml');

/** Largest declaration file, bytes. It fits the largest body of the API with room for what its files add. */
export const maxDeclarationBytes = 512 * 1024;
/** How often `*alias` may repeat content in all: more is a mistake, or meant to fill the memory. */
const maxAliases = 100;
/** Deepest nesting. */
const maxDepth = 32;

/** A parsed file: its value, and the line at which a path stands. */
export interface ParsedYaml {
  readonly value: unknown;
  lineOf(path: readonly (string | number)[]): number | undefined;
}

/** Parses YAML 1.2 (and so JSON): one document, unique keys, no tags beyond the core schema, bounded aliases and depth. */
export function parseYaml(text: string, file: string): ParsedYaml {
  const refuse = (rule: string, fix?: string, line?: number): never => {
    throw new DeclarationError(file, [
      { field: '', rule, ...(fix === undefined ? {} : { fix }), ...(line === undefined ? {} : { line }) },
    ]);
  };
  if (Buffer.byteLength(text) > maxDeclarationBytes) {
    refuse(`is larger than ${maxDeclarationBytes / 1024} KiB`, 'split it into several declarations');
  }
  if (tooDeep(text)) refuse(`is nested deeper than ${maxDepth} levels`);
  const { LineCounter, parseDocument } = loadYaml();
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    prettyErrors: false,
    schema: 'core',
    // Not 'silent', with which a second document would be passed over without a word.
    logLevel: 'error',
  });
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault)
    refuse(`is not YAML as we accept it: ${fault.message.split('\n')[0]}`, undefined, lines.linePos(fault.pos[0]).line);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: maxAliases });
  } catch {
    refuse('repeats too much by aliases', `write it out, or use at most ${maxAliases} aliases`);
  }
  return {
    value,
    lineOf(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const node = keyNode(document.contents, path.slice(0, length));
        if (node?.range) return lines.linePos(node.range[0]).line;
      }
      return undefined;
    },
  };
}

/** The parser recurses, so nesting is bounded before it runs: brackets of flow collections, columns of block ones. */
function tooDeep(text: string): boolean {
  let open = 0;
  for (const character of text) {
    if (character === '[' || character === '{') open += 1;
    else if (character === ']' || character === '}') open = Math.max(0, open - 1);
    if (open > maxDepth) return true;
  }
  return text.split('\n').some((line) => (/^[ -]*/.exec(line)?.[0].length ?? 0) > maxDepth * 8);
}

/** The node of the last key of a path (its value when it has none of its own): where an editor should jump to. */
function keyNode(root: ParsedNode | null, path: readonly (string | number)[]): ParsedNode | undefined {
  let node: unknown = root;
  let key: unknown;
  for (const part of path) {
    const items: unknown = (node as { items?: unknown } | null | undefined)?.items;
    if (!Array.isArray(items)) return undefined;
    if (typeof part === 'number') {
      key = node = items[part];
    } else {
      const pair = (items as { key?: { value?: unknown }; value?: unknown }[]).find(
        (one) => String(one.key?.value) === part,
      );
      if (!pair) return undefined;
      key = pair.key;
      node = pair.value;
    }
  }
  return loadYaml().isNode(key) ? (key as ParsedNode) : undefined;
}
