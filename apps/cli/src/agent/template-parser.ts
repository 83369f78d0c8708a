/** Reading a template: from text to pieces. What the pieces mean is in template.ts. */

/** A template that cannot be read or rendered. The message names line and rule, never a value. */
export class TemplateError extends Error {
  readonly line: number;

  constructor(line: number, rule: string) {
    super(`line ${line}: ${rule}`);
    this.name = 'TemplateError';
    this.line = line;
  }
}

/** What a tag names. */
export interface Path {
  readonly namespace: string | undefined;
  /** `undefined`: starts at the item of the innermost `each`. */
  readonly key: string | undefined;
  readonly members: readonly string[];
  readonly text: string;
}

/** A piece of a template. */
export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'value';
      readonly line: number;
      readonly path: Path;
      readonly fallback: string | undefined;
      readonly filter: string | undefined;
    }
  | {
      readonly kind: 'if';
      readonly line: number;
      readonly path: Path;
      readonly yes: readonly Node[];
      readonly no: readonly Node[];
    }
  | { readonly kind: 'each'; readonly line: number; readonly path: Path; readonly body: readonly Node[] };

const maxDepth = 16;

interface Token {
  readonly line: number;
  /** Text, or what stands between the braces. */
  readonly text?: string;
  readonly tag?: string;
}

/** Splits at the tags. A block tag or comment alone on its line takes the line with it, as in Mustache. */
function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let at = 0;
  while (at < source.length) {
    const open = source.indexOf('{{', at);
    if (open === -1) break;
    const close = closing(source, open + 2);
    const startLine = line + newlines(source.slice(at, open));
    if (close === -1) throw new TemplateError(startLine, '{{ is not closed by }}');
    const tag = source.slice(open + 2, close).trim();
    let before = source.slice(at, open);
    let after = close + 2;
    if (/^(?:[#/!]|else$)/.test(tag)) {
      const lead = /(^|\n)[ \t]*$/.exec(before);
      const startsLine = lead !== null && (lead[1] === '\n' || at === 0 || source[at - 1] === '\n');
      const rest = /^[ \t]*(?:\r?\n|$)/.exec(source.slice(after));
      if (startsLine && rest) {
        before = before.slice(0, lead.index + (lead[1] ?? '').length);
        after += rest[0].length;
      }
    }
    if (before !== '') tokens.push({ line, text: before });
    if (!tag.startsWith('!')) tokens.push({ line: startLine, tag });
    line += newlines(source.slice(at, after));
    at = after;
  }
  if (at < source.length) tokens.push({ line, text: source.slice(at) });
  return tokens;
}

/** Where `}}` stands, outside of quotes. A comment has no quotes. */
function closing(source: string, from: number): number {
  if (source[from] === '!') return source.indexOf('}}', from);
  let isQuoted = false;
  for (let at = from; at < source.length; at += 1) {
    if (isQuoted && source[at] === '\\') at += 1;
    else if (source[at] === '"') isQuoted = !isQuoted;
    else if (!isQuoted && source.startsWith('}}', at)) return at;
    else if (source[at] === '\n' && isQuoted) return -1;
  }
  return -1;
}

function newlines(text: string): number {
  return text.split('\n').length - 1;
}

/** Reads a template; `filters` are the names that may stand after `|`. Throws {@link TemplateError}. */
export function parseNodes(source: string, filters: readonly string[]): Node[] {
  const tokens = tokensOf(source);
  let at = 0;
  const body = (
    open: Token | undefined,
    block: string | undefined,
    depth: number,
  ): { nodes: Node[]; endedBy: string | undefined } => {
    if (depth > maxDepth) throw new TemplateError(open?.line ?? 1, `blocks are nested deeper than ${maxDepth}`);
    const nodes: Node[] = [];
    for (;;) {
      const token = tokens[at];
      if (!token) {
        if (open) throw new TemplateError(open.line, `{{#${block}}} is not closed by {{/${block}}}`);
        return { nodes, endedBy: undefined };
      }
      at += 1;
      if (token.tag === undefined) {
        nodes.push({ kind: 'text', text: token.text ?? '' });
        continue;
      }
      const { tag, line } = token;
      if (tag === 'else' || tag.startsWith('/')) {
        const fits = tag === 'else' ? block === 'if' : tag.slice(1).trim() === block;
        if (!fits) throw new TemplateError(line, `{{${tag}}} closes nothing that is open`);
        return { nodes, endedBy: tag };
      }
      const start = /^#\s*([a-z]+)\s+([^]+)$/.exec(tag);
      if (start) {
        const kind = start[1] ?? '';
        const path = parsePath(start[2] ?? '', line);
        if (kind === 'if') {
          const then = body(token, 'if', depth + 1);
          const otherwise = then.endedBy === 'else' ? body(token, 'if', depth + 1) : undefined;
          if (otherwise?.endedBy === 'else') throw new TemplateError(line, '{{#if}} has two {{else}}');
          nodes.push({ kind: 'if', line, path, yes: then.nodes, no: otherwise?.nodes ?? [] });
        } else if (kind === 'each')
          nodes.push({ kind: 'each', line, path, body: body(token, 'each', depth + 1).nodes });
        else throw new TemplateError(line, `{{#${kind}}} is not known; there are #if and #each`);
      } else if (tag.startsWith('#'))
        throw new TemplateError(line, `{{${tag}}} is not understood; write {{#if KEY}} or {{#each KEY}}`);
      else nodes.push(parseValue(tag, line, filters));
    }
  };
  return body(undefined, undefined, 0).nodes;
}

const quoted = String.raw`"(?:\\.|[^"\\])*"`;
const bare = String.raw`[A-Za-z0-9_-]+`;
const pathPattern = new RegExp(
  `^(?:(?:([a-z0-9][a-z0-9_-]{0,62})/)?(${quoted}|${bare}))?((?:\\.(?:${quoted}|${bare}))*|\\.)$`,
);
const valuePattern = new RegExp(
  `^((?:${quoted}|[^"?|])+?)\\s*(?:\\?\\?\\s*(${quoted})\\s*)?(?:\\|\\s*([a-z0-9]+)\\s*)?$`,
);

function parseValue(tag: string, line: number, filters: readonly string[]): Node {
  const literal = new RegExp(`^${quoted}$`).test(tag) ? unquote(tag, line) : undefined;
  if (literal !== undefined && /[{}]/.test(literal)) return { kind: 'text', text: literal };
  const match = valuePattern.exec(tag);
  if (!match)
    throw new TemplateError(
      line,
      `{{${tag.slice(0, 60)}}} is not understood; write {{ KEY }}, {{ KEY | filter }} or {{ KEY ?? "default" }}`,
    );
  const filter = match[3];
  if (filter !== undefined && !filters.includes(filter)) {
    throw new TemplateError(line, `the filter ${filter} is not known; there are ${filters.join(', ')}`);
  }
  return {
    kind: 'value',
    line,
    path: parsePath(match[1] ?? '', line),
    fallback: match[2] === undefined ? undefined : unquote(match[2], line),
    filter,
  };
}

function parsePath(text: string, line: number): Path {
  const match = pathPattern.exec(text.trim());
  if (!match || text.trim() === '') {
    throw new TemplateError(
      line,
      `"${text.trim().slice(0, 60)}" is no key; a key with other characters than letters, digits, _ and - stands in quotes`,
    );
  }
  const members = [...(match[3] ?? '').matchAll(new RegExp(`\\.(${quoted}|${bare})`, 'g'))].map((part) =>
    unquote(part[1] ?? '', line),
  );
  return {
    namespace: match[1],
    key: match[2] === undefined ? undefined : unquote(match[2], line),
    members,
    text: text.trim(),
  };
}

function unquote(text: string, line: number): string {
  if (!text.startsWith('"')) return text;
  try {
    return JSON.parse(text) as string;
  } catch {
    throw new TemplateError(line, `${text.slice(0, 60)} is not a text in quotes as JSON has them`);
  }
}
