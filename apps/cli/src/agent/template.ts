/**
 * The template language of the agent. Small on purpose: it looks values up and writes them, and runs nothing.
 *
 *     {{ KEY }}                      the value; an error when it is missing or has a line break
 *     {{ KEY | json }}               through a filter: json, shell, base64, url, lines
 *     {{ KEY ?? "default" }}         when it is missing
 *     {{ namespace/KEY }}            of that namespace; {{ "a.key with spaces" }}; {{ KEY.member.0 }} inside JSON
 *     {{#if KEY}} … {{else}} … {{/if}}     missing, null, false, "", [] and {} are no
 *     {{#each KEY}} {{ . }} {{ .name }} {{/each}}
 *     {{! comment }}   {{ "{{" }}    braces as they are: a text in quotes with a brace is no key
 */

import { type Node, type Path, parseNodes, TemplateError } from './template-parser.ts';

export { TemplateError };

/** The values of each namespace, the last one first when a key names none. */
export interface TemplateValues {
  readonly namespaces: readonly { readonly name: string; readonly values: Readonly<Record<string, unknown>> }[];
}

/** Largest rendered text, characters: a list in a list in a list grows fast. */
const maxRenderedCharacters = 16 * 1024 * 1024;

/** How a value is written. `plain` refuses what could begin a line of its own in the file. */
const filters = {
  plain: (value: unknown) => {
    const text = plainText(value);
    // oxlint-disable-next-line no-control-regex -- control characters are what is refused
    if (/[\u0000-\u0008\u000a-\u001f\u007f\u0085\u2028\u2029]/.test(text)) {
      throw new RangeError(
        'has a line break or another control character; write it with | json, | shell, | base64, or | lines if it may',
      );
    }
    return text;
  },
  lines: (value: unknown) => plainText(value),
  json: (value: unknown) =>
    JSON.stringify(value).replace(/[\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16)}`),
  shell: (value: unknown) => {
    const text = plainText(value);
    if (text.includes('\0')) throw new RangeError('has the character U+0000, which no shell can hold');
    return `'${text.replaceAll("'", `'\\''`)}'`;
  },
  base64: (value: unknown) => Buffer.from(plainText(value)).toString('base64'),
  url: (value: unknown) => encodeURIComponent(plainText(value).toWellFormed()),
} as const satisfies Record<string, (value: unknown) => string>;

function plainText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** A template that was read. */
export interface Template {
  /** Throws {@link TemplateError}. */
  render(values: TemplateValues): string;
}

/** Reads a template; throws {@link TemplateError}. */
export function parseTemplate(source: string): Template {
  const nodes = parseNodes(
    source,
    Object.keys(filters).filter((name) => name !== 'plain'),
  );
  return {
    render(values) {
      const out: string[] = [];
      let length = 0;
      const write = (text: string, line: number) => {
        length += text.length;
        if (length > maxRenderedCharacters)
          throw new TemplateError(line, `the text is longer than ${maxRenderedCharacters} characters`);
        out.push(text);
      };
      renderNodes(nodes, values, [], write);
      return out.join('');
    },
  };
}

function renderNodes(
  nodes: readonly Node[],
  values: TemplateValues,
  items: readonly unknown[],
  write: (text: string, line: number) => void,
): void {
  for (const node of nodes) {
    if (node.kind === 'text') {
      write(node.text, 0);
      continue;
    }
    const value = lookUp(node.path, values, items, node.line);
    if (node.kind === 'value') {
      if (value === undefined && node.fallback === undefined)
        throw new TemplateError(node.line, missing(node.path, values));
      try {
        write(
          filters[(node.filter ?? 'plain') as keyof typeof filters](value === undefined ? node.fallback : value),
          node.line,
        );
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        throw new TemplateError(node.line, `${node.path.text} ${error.message}`);
      }
    } else if (node.kind === 'if') {
      renderNodes(isYes(value) ? node.yes : node.no, values, items, write);
    } else {
      if (value === undefined) throw new TemplateError(node.line, missing(node.path, values));
      if (!Array.isArray(value))
        throw new TemplateError(node.line, `${node.path.text} is not a list, which each needs`);
      for (const item of value) renderNodes(node.body, values, [...items, item], write);
    }
  }
}

function isYes(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

function lookUp(
  { namespace, key, members }: Path,
  { namespaces }: TemplateValues,
  items: readonly unknown[],
  line: number,
): unknown {
  let value: unknown;
  if (key === undefined) {
    if (items.length === 0) throw new TemplateError(line, '. is the item of a list, and stands outside of each');
    value = items.at(-1);
  } else {
    const named = namespace === undefined ? namespaces : namespaces.filter(({ name }) => name === namespace);
    if (namespace !== undefined && named.length === 0) {
      throw new TemplateError(
        line,
        `the namespace ${namespace} is not one of this target: ${namespaces.map(({ name }) => name).join(', ')}`,
      );
    }
    value = named.findLast(({ values }) => Object.hasOwn(values, key))?.values[key];
  }
  for (const member of members) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, member)) return undefined;
    value = (value as Record<string, unknown>)[member];
  }
  return value;
}

function missing({ text }: Path, { namespaces }: TemplateValues): string {
  return `${text} is missing in ${namespaces.map(({ name }) => name).join(', ')}; publish it, or write {{ ${text} ?? "default" }}`;
}
