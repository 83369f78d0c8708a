import type { JsonObject } from '@gatehouse/contracts';
import { createDirectives, writeAssignments } from './directives.ts';
import { type Entries, printable } from './entries.ts';

const assignment = /[ \t]*(?:export[ \t]+)?([A-Za-z0-9_.-]+)[ \t]*=[ \t]*/y;

/**
 * Reads `.env` as Node's `--env-file` and the package dotenv both read it, and refuses what they read differently or
 * would cut short: a quote that is not closed, text after a closing quote, `\"`, `\r`, `#` inside an unquoted value.
 * - `KEY=value`, `export KEY=value`, spaces around `=`; `#` at the begin of a line or after a space is a comment;
 * - `'…'` and `` `…` `` hold what they hold, over several lines; `"…"` too, and there `\n` is a line break;
 * - nothing is expanded: `$NAME` and `${NAME}` are texts.
 */
export function readDotenv(source: string, entries: Entries): void {
  const text = source.replaceAll('\r\n', '\n');
  const directives = createDirectives(entries);
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const end = endOfLine(text, at);
    const content = text.slice(at, end).trim();
    assignment.lastIndex = at;
    const found = content.startsWith('#') ? undefined : assignment.exec(text);
    if (content.startsWith('#')) directives.comment(content, line);
    else if (!found && content !== '') {
      entries.problem(line, '', 'is not KEY=value', 'write KEY=value with letters, digits, _, . and - in the key');
    }
    if (!found) {
      at = end + 1;
      line += 1;
      continue;
    }
    const value = readValue(text, assignment.lastIndex, end, { key: found[1] ?? '', line, entries });
    if (value.content !== undefined) directives.assign(found[1] ?? '', value.content, line);
    line += countLines(text, at, value.end) + 1;
    at = value.end + 1;
  }
  directives.finish();
}

interface Place {
  readonly key: string;
  readonly line: number;
  readonly entries: Entries;
}

/** The value at `start`, and where its last line ends. No content: it is wrong, and was reported. */
function readValue(
  text: string,
  start: number,
  lineEnd: number,
  place: Place,
): { content: string | undefined; end: number } {
  const { key, line, entries } = place;
  const wrong = (rule: string, fix: string, end: number) => {
    entries.problem(line, printable(key), rule, fix);
    return { content: undefined, end };
  };
  const quote = text[start] ?? '';
  if (quote !== "'" && quote !== '"' && quote !== '`') {
    const content = withoutComment(text.slice(start, lineEnd));
    if (content === undefined) {
      return wrong('has # in a value without quotes, where readers cut it off', 'put the value in quotes', lineEnd);
    }
    if (start === lineEnd && text[start - 1] !== '=') {
      return wrong('has only spaces after =, which readers understand differently', `write ${key}=`, lineEnd);
    }
    return accepted(content, lineEnd, place, true);
  }
  const close = text.indexOf(quote, start + 1);
  if (close === -1) return wrong(`has a ${quote} that is never closed`, 'close it, or use other quotes', text.length);
  const end = endOfLine(text, close);
  const content = text.slice(start + 1, close);
  if (content.endsWith('\\')) {
    const fix = 'use another kind of quotes around the value (\' " or `), or none';
    return wrong(`has \\ before ${quote}, which readers understand differently`, fix, end);
  }
  if (!/^[ \t]*(#.*)?$/.test(text.slice(close + 1, end))) {
    const fix = 'the next quote of the same kind ends a value: use another kind around it (\' " or `)';
    return wrong('has text after its closing quote', fix, end);
  }
  if (quote !== '"') return accepted(content, end, place, false);
  if (content.includes('\\r')) {
    return wrong('has \\r, which readers understand differently', "put it in '…' when \\ and r are meant", end);
  }
  return accepted(content.replaceAll('\\n', '\n'), end, place, true);
}

function accepted(content: string, end: number, { key, line, entries }: Place, mayMeanExpansion: boolean) {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(content)) {
    entries.problem(line, printable(key), 'has control characters', 'import it from JSON or YAML');
    return { content: undefined, end };
  }
  if (mayMeanExpansion && /\$(\{|[A-Za-z_])/.test(content)) {
    entries.warn(line, key, 'has $NAME or ${NAME}: it stays as it is, nothing is expanded');
  }
  return { content, end };
}

/** An unquoted value; undefined when `#` stands inside it. */
function withoutComment(value: string): string | undefined {
  const hash = value.indexOf('#');
  if (hash > 0 && !/[ \t]/.test(value[hash - 1] ?? '')) return undefined;
  const content = hash === -1 ? value : value.slice(0, hash);
  let end = content.length;
  while (end > 0 && ' \t'.includes(content[end - 1] ?? '')) end -= 1;
  return content.slice(0, end);
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end === -1 ? text.length : end;
}

function countLines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at !== -1 && at < to; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}

/** Writes `.env`. Keys that it cannot say stand in comments, and are named in `hidden`. */
export function writeDotenv(configuration: JsonObject): { text: string; hidden: string[] } {
  return writeAssignments(configuration, (key, text) => {
    const value = /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(key) ? quoted(text) : undefined;
    return value === undefined ? undefined : `${key}=${value}`;
  });
}

/** The text so that Node, dotenv and a shell read it the same; undefined when there is no such way. */
function quoted(text: string): string | undefined {
  if (/^[A-Za-z0-9_.,:/@%+=-]*$/.test(text)) return text;
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(text)) return undefined;
  if (!text.endsWith('\\')) {
    if (!text.includes("'")) return `'${text}'`;
    if (!/["`$]|\\[nr"\\$`]/.test(text)) return `"${text.replaceAll('\n', '\\n')}"`;
    if (!text.includes('`')) return `\`${text}\``;
  }
  return /^[^\s#"'`](?:[^#\n]*[^\s#])?$/.test(text) ? text : undefined;
}
