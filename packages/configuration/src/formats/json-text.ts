import type { JsonValue } from '@gatehouse/contracts';
import { maxValueDepth, printable } from './entries.ts';

/** A place where a JSON text is wrong. No message holds a value. */
export class JsonTextError extends Error {
  /** From 1. */
  readonly line: number;
  /** Keys down to the place, joined by dots; empty at the first level. */
  readonly field: string;
  readonly rule: string;
  readonly fix: string;

  constructor(line: number, path: readonly string[], rule: string, fix: string) {
    super(`line ${line}: ${rule}`);
    this.name = 'JsonTextError';
    this.line = line;
    this.field = path.map(printable).join('.');
    this.rule = rule;
    this.fix = fix;
  }
}

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const plainText = /[^"\\\u0000-\u001f]*/y; // oxlint-disable-line no-control-regex -- RFC 8259 §7 excludes them
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/**
 * Parses JSON (RFC 8259) as I-JSON asks (RFC 7493) and says in which line it is wrong: a key twice, a lone surrogate,
 * nesting beyond 32 levels, a whole number that a double cannot hold. `JSON.parse` keeps the last of two keys, rounds
 * such numbers, and quotes the text in its messages, which may hold a secret.
 *
 * @param onMember is told each member of the outermost object and its line.
 */
export function parseJsonText(
  text: string,
  onMember: (key: string, value: JsonValue, line: number) => void = () => undefined,
): JsonValue {
  let at = 0;
  let line = 1;
  const path: string[] = [];

  const fail = (rule: string, fix: string, failedLine = line): never => {
    throw new JsonTextError(failedLine, path, rule, fix);
  };
  const skip = (): void => {
    for (; at < text.length; at += 1) {
      const character = text[at];
      if (character === '\n') line += 1;
      else if (character !== ' ' && character !== '\t' && character !== '\r') return;
    }
  };
  const unexpected = (wanted: string): never =>
    at >= text.length
      ? fail(`ends where ${wanted} is due`, 'close what is open')
      : fail(`is not JSON: ${wanted} is due`, 'check commas, quotes and brackets there');

  const word = <T extends JsonValue>(name: string, value: T): T => {
    if (!text.startsWith(name, at)) unexpected('a value');
    at += name.length;
    return value;
  };

  const readNumber = (): number => {
    number.lastIndex = at;
    const literal = number.exec(text)?.[0];
    if (literal === undefined) return unexpected('a value');
    at += literal.length;
    const value = Number(literal);
    if (!Number.isFinite(value)) fail('is a number that is too large', 'put it in quotes');
    if (/^-?\d+$/.test(literal) && !Number.isSafeInteger(value)) {
      fail('is a whole number that readers of JSON would round', 'put it in quotes');
    }
    return value === 0 ? 0 : value;
  };

  const readString = (): string => {
    const began = line;
    let value = '';
    for (at += 1; ; ) {
      plainText.lastIndex = at;
      const part = plainText.exec(text)?.[0] ?? '';
      value += part;
      at += part.length;
      const character = text[at];
      if (character === '"') break;
      if (character === undefined) fail('has a text that is never closed', 'close it with "', began);
      if (character !== '\\') fail('has a control character or a line break in a text', 'write \\n, \\t or \\u00XX');
      const hex = /^u([0-9a-fA-F]{4})/.exec(text.slice(at + 1, at + 6))?.[1];
      const escape = escapes[text[at + 1] ?? ''];
      if (hex !== undefined) value += String.fromCharCode(Number.parseInt(hex, 16));
      else if (escape !== undefined) value += escape;
      else fail('has an escape that JSON does not know', 'use \\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX');
      at += hex === undefined ? 2 : 6;
    }
    at += 1;
    if (!value.isWellFormed()) fail('has half of a surrogate pair', 'write both halves, or the character itself');
    return value;
  };

  const readObject = (depth: number): JsonValue => {
    const members = new Map<string, { value: JsonValue; line: number }>();
    at += 1;
    skip();
    while (text[at] !== '}') {
      if (members.size > 0) {
        if (text[at] !== ',') unexpected('a comma or }');
        at += 1;
        skip();
      }
      if (text[at] !== '"') unexpected('a key in double quotes');
      const keyLine = line;
      const key = readString();
      path.push(key);
      const before = members.get(key);
      if (before) fail(`is set in line ${before.line} already`, 'keep one of the two', keyLine);
      skip();
      if (text[at] !== ':') unexpected('a colon');
      at += 1;
      const value = readValue(depth + 1);
      path.pop();
      members.set(key, { value, line: keyLine });
      if (depth === 1) onMember(key, value, keyLine);
      skip();
    }
    at += 1;
    return Object.fromEntries([...members].map(([key, { value }]) => [key, value]));
  };

  const readArray = (depth: number): JsonValue => {
    const items: JsonValue[] = [];
    at += 1;
    skip();
    while (text[at] !== ']') {
      if (items.length > 0) {
        if (text[at] !== ',') unexpected('a comma or ]');
        at += 1;
      }
      items.push(readValue(depth + 1));
      skip();
    }
    at += 1;
    return items;
  };

  const readValue = (depth: number): JsonValue => {
    skip();
    // One level more than a value may have: the configuration itself is around it.
    if (depth > maxValueDepth + 1) fail(`is nested deeper than ${maxValueDepth} levels`, 'make it flatter');
    switch (text[at]) {
      case '{':
        return readObject(depth);
      case '[':
        return readArray(depth);
      case '"':
        return readString();
      case 't':
        return word('true', true);
      case 'f':
        return word('false', false);
      case 'n':
        return word('null', null);
      default:
        return readNumber();
    }
  };

  const value = readValue(1);
  skip();
  if (at < text.length) fail('goes on after its end', 'remove what follows the last bracket');
  return value;
}
