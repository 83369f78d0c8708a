import type { JsonObject } from '@gatehouse/contracts';
import { createDirectives, writeAssignments } from './directives.ts';
import { type Entries, printable } from './entries.ts';

const space = /[ \t\f]*/y;
const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

/**
 * Reads properties as `java.util.Properties.load` does: `#` and `!` begin comments, `=`, `:` or space ends a key, `\` at
 * the end of a line continues it, `\t \n \r \f \uXXXX` are escapes and `\` before anything else is dropped. A key twice
 * is refused, where Java keeps the last. Characters beyond ASCII may stand as they are, in UTF-8, or as `\uXXXX`.
 */
export function readProperties(text: string, entries: Entries): void {
  const directives = createDirectives(entries);
  const lines = text.split(/\r\n|\r|\n/);
  for (let index = 0; index < lines.length; index += 1) {
    const line = index + 1;
    let logical = withoutIndent(lines[index] ?? '');
    if (logical.startsWith('#') || logical.startsWith('!')) {
      directives.comment(logical.replace(/^!/, '#'), line);
      continue;
    }
    while (isContinued(logical)) {
      index += 1;
      logical = logical.slice(0, -1) + withoutIndent(lines[index] ?? '');
      if (index >= lines.length) break;
    }
    if (logical === '') continue;
    const { rawKey, rawValue, bare } = split(logical);
    const key = unescaped(rawKey, { key: rawKey, line, entries });
    if (key === undefined) continue;
    const value = unescaped(rawValue, { key, line, entries });
    if (value === undefined) continue;
    if (bare) entries.warn(line, key, 'has no = and no value: it is an empty text');
    directives.assign(key, value, line);
  }
  directives.finish();
}

function withoutIndent(line: string): string {
  return line.replace(/^[ \t\f]+/, '');
}

/** True when the line ends with an odd number of backslashes. */
function isContinued(line: string): boolean {
  let at = line.length;
  while (at > 0 && line[at - 1] === '\\') at -= 1;
  return ((line.length - at) & 1) === 1;
}

/** Key and value as they stand; `bare` is a key without anything after it. */
function split(line: string): { rawKey: string; rawValue: string; bare: boolean } {
  let at = 0;
  while (at < line.length && !'=: \t\f'.includes(line[at] ?? '')) at += line[at] === '\\' ? 2 : 1;
  const rawKey = line.slice(0, at);
  const bare = at >= line.length;
  at = afterSpace(line, at);
  if (line[at] === '=' || line[at] === ':') at = afterSpace(line, at + 1);
  return { rawKey, rawValue: line.slice(at), bare };
}

function afterSpace(line: string, at: number): number {
  space.lastIndex = at;
  space.exec(line);
  return space.lastIndex;
}

function unescaped(
  raw: string,
  { key, line, entries }: { key: string; line: number; entries: Entries },
): string | undefined {
  let isBroken = false;
  let isDropped = false;
  const text = raw.replace(/\\(?:u([0-9a-fA-F]{4})|([^]?))/g, (_all, hex: string | undefined, other = '') => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (other === 'u') isBroken = true;
    const known = escapes[other];
    if (known === undefined && /[A-Za-z0-9]/.test(other)) isDropped = true;
    return known ?? other;
  });
  if (isBroken) entries.problem(line, printable(key), 'has \\u without four hexadecimal digits', 'write \\\\u for \\u');
  else if (!text.isWellFormed()) {
    entries.problem(line, printable(key), 'has half of a surrogate pair', 'write both halves as \\uXXXX');
    return undefined;
  } else if (isDropped) {
    entries.warn(line, key, 'has \\ before a letter, where Java drops it: write \\\\ for a backslash');
  }
  return isBroken ? undefined : text;
}

/** Writes properties in ASCII, as `java.util.Properties.store` does: every reader of Java reads it the same. */
export function writeProperties(configuration: JsonObject): { text: string; hidden: string[] } {
  return writeAssignments(configuration, (key, text) => {
    const name = escaped(key).replaceAll(' ', '\\ ');
    return `${name}=${escaped(text).replace(/^ /, '\\ ')}`;
  });
}

function escaped(text: string): string {
  const named: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r', '\f': '\\f' };
  return text.replace(
    /[\\=:#!]|[^ -~]/g,
    (unit) => named[unit] ?? (unit >= ' ' && unit <= '~' ? `\\${unit}` : unicode(unit)),
  );
}

function unicode(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}
