import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import {
  CST,
  Document,
  isAlias,
  isScalar,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  visit,
  type YAMLMap,
} from 'yaml';
import { type Entries, maxValueDepth, printable } from './entries.ts';

/** How much `*alias` may repeat in all: more is a mistake, or meant to fill the memory. */
const maxAliases = 100;

/**
 * Reads YAML 1.2 (core schema): one document, a mapping with texts as keys, each key once, bounded aliases and depth, no
 * other tags, no merge keys. What loses its spelling is refused (`0123`, `0x1F`, `.inf`, numbers too large for a
 * double), what is likely to be meant otherwise is warned of (`1.10`, `yes`).
 */
export function readYaml(text: string, entries: Entries): void {
  const counter = new LineCounter();
  if (hasExplicitKeys(text)) {
    entries.problem(1, '', 'has keys that are written with ?', 'write KEY: value');
    return;
  }
  const document = parseDocument(text, {
    lineCounter: counter,
    uniqueKeys: false, // checked below: the parser compares each key with each
    prettyErrors: false,
    schema: 'core',
    // Not 'silent', which passes over a second document.
    logLevel: 'error',
  });
  const lineAt = (offset: number | undefined): number => Math.max(1, counter.linePos(offset ?? 0).line);
  for (const { message, pos } of [...document.errors, ...document.warnings].slice(0, 10)) {
    if (message.includes('call stack')) {
      entries.problem(lineAt(pos[0]), '', `is nested deeper than ${maxValueDepth} levels`, 'make it flatter');
      return;
    }
    // The parser's messages may quote the text, which may hold a secret: what is in quotes is left out.
    entries.problem(lineAt(pos[0]), '', `is not YAML as we accept it: ${withoutQuotes(message)}`, 'correct that line');
  }
  if (entries.problems.length > 0) return;
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    entries.problem(1, '', 'is empty', 'write {} for a configuration without keys');
    return;
  }
  let comments = text.split('\n').filter((line) => /^\s*#/.test(line)).length;
  for (; comments > 0; comments -= 1) entries.comment();
  visit(document, {
    Map: (_key, node) => checkUnique(node, (item) => lineAt(item?.range?.[0]), entries),
    Pair: (_key, pair) => checkKey(pair, (node) => lineAt(node?.range?.[0]), entries),
    Scalar: (key, node, path) => {
      if (key !== 'key') checkScalar(node, keyName(path), lineAt(node.range?.[0]), entries);
    },
  });
  if (entries.problems.length > 0) return;
  const value = valueOf(() => document.toJS({ maxAliasCount: maxAliases }) as JsonValue, entries);
  if (value === undefined) return;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    entries.problem(1, '', 'is not a mapping', 'write KEY: value, a line each');
    return;
  }
  const items = (document.contents as { items?: Pair<Scalar<string>, Node>[] }).items ?? [];
  const lineOf = new Map(items.map(({ key }) => [key.value, lineAt(key.range?.[0])]));
  for (const [key, member] of Object.entries(value as JsonObject)) {
    const line = lineOf.get(key) ?? 1;
    if (depthOf(member as JsonValue) > maxValueDepth) {
      entries.problem(line, printable(key), `is nested deeper than ${maxValueDepth} levels`, 'make it flatter');
    } else entries.add(key, member as JsonValue, line);
  }
}

function valueOf(read: () => JsonValue, entries: Entries): JsonValue | undefined {
  try {
    return read();
  } catch {
    entries.problem(1, '', 'repeats too much by aliases', `write it out, or use at most ${maxAliases} aliases`);
    return undefined;
  }
}

function checkKey({ key }: Pair, lineAt: (node: Node | undefined) => number, entries: Entries): void {
  const node = key as Node | null;
  const line = lineAt(node ?? undefined);
  if (!isScalar(node) || isAlias(node)) entries.problem(line, '', 'has a key that is no text', 'write a plain key');
  else if (typeof node.value !== 'string') {
    entries.problem(
      line,
      printable(node.source ?? ''),
      'is a key that YAML takes for a number or word',
      'put it in quotes',
    );
  } else if (node.value === '<<' && node.type === 'PLAIN') {
    entries.problem(line, '<<', 'merges mappings, which YAML 1.2 does not know', 'write the keys out, or quote "<<"');
  }
}

function checkScalar(node: Scalar, key: string, line: number, entries: Entries): void {
  const { value, source = '', type } = node;
  if (typeof value === 'string' && !value.isWellFormed()) {
    entries.problem(line, key, 'has half of a surrogate pair', 'write the character itself');
  }
  if (type !== 'PLAIN') return;
  if (typeof value === 'number' || typeof value === 'bigint') {
    const spelt = Number(value);
    const isWhole = /^[-+]?\d+$/.test(source);
    if (!/^[-+]?(?:\d|\.\d)[\d.]*(?:[eE][-+]?\d+)?$/.test(source) || /^[-+]?0\d/.test(source)) {
      entries.problem(line, key, 'is a number that would lose its spelling', 'put it in quotes to keep it as text');
    } else if (!Number.isFinite(spelt) || (isWhole && !Number.isSafeInteger(spelt))) {
      entries.problem(line, key, 'is a number that readers would round', 'put it in quotes');
    } else if (!/[eE]/.test(source) && String(spelt) !== source.replace(/^\+/, '')) {
      entries.warn(line, key, 'is a number and loses zeros at its end: put it in quotes if it is a text');
    }
  } else if (typeof value === 'string' && /^(?:y|n|yes|no|on|off)$/i.test(value)) {
    entries.warn(line, key, 'is a text in YAML 1.2, not true or false: write true or false if that is meant');
  }
}

/** The first key on the way to a node, for messages. */
function keyName(path: readonly unknown[]): string {
  const pair = path.find((one) => typeof one === 'object' && one !== null && 'key' in one) as Pair | undefined;
  return isScalar(pair?.key) ? printable(String(pair.key.value)) : '';
}

function withoutQuotes(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/(["'`]).*\1/g, '…').replace(/: .*$/, '');
}

/** `? key` nests; the parser takes minutes for a few hundred of them, and nobody writes them. */
function hasExplicitKeys(text: string): boolean {
  let isScalar = false;
  for (const token of new Lexer().lex(text)) {
    if (token === '?' && !isScalar) return true;
    isScalar = token === CST.SCALAR;
  }
  return false;
}

function checkUnique({ items }: YAMLMap, lineAt: (node: Node | undefined) => number, entries: Entries): void {
  const lines = new Map<string, number>();
  for (const { key } of items) {
    if (!isScalar(key) || typeof key.value !== 'string') continue;
    const line = lineAt(key);
    const before = lines.get(key.value);
    if (before === undefined) lines.set(key.value, line);
    else entries.problem(line, printable(key.value), `is set in line ${before} already`, 'keep one of the two');
  }
}

function depthOf(value: JsonValue): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map((member) => depthOf(member as JsonValue)));
}

/** Writes YAML that readers of YAML 1.1 and 1.2 read the same: `no`, `0123`, `12:30` and dates are in quotes. */
export function writeYaml(configuration: JsonObject): string {
  const document = new Document(configuration, { schema: 'core', compat: 'yaml-1.1', aliasDuplicateObjects: false });
  visit(document, {
    Scalar: (position, node) => {
      if (typeof node.value === 'string') node.type = styleOf(node.value, position === 'key');
    },
  });
  // What some readers take for a line break or for nothing stands in double quotes here, where it may be escaped.
  return document
    .toString({ lineWidth: 0 })
    .replace(/[\u007f-\u00a0\u2028\u2029\ufeff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Plain or as a block where nobody can take it for something else, else in double quotes. */
function styleOf(text: string, isKey: boolean): Scalar.Type {
  if (/^[A-Za-z0-9_./$](?:[\w./@+, -]*[\w./@+-])?$/.test(text)) return 'PLAIN';
  const isBlock = !isKey && /^[!-~][ -~\n]*\n$/.test(text) && !/ \n|\n\n$|\n /.test(text);
  return isBlock ? 'BLOCK_LITERAL' : 'QUOTE_DOUBLE';
}
