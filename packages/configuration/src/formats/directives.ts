import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { isJsonObject } from '@gatehouse/crypto';
import type { Entries } from './entries.ts';
import { printable } from './entries.ts';
import { JsonTextError, parseJsonText } from './json-text.ts';

/**
 * `.env` and properties know texts only. What a configuration has beyond them stands in comments that other readers
 * pass over:
 * - `# gatehouse: json` before an assignment: its text is JSON, so `8080` is a number;
 * - `# gatehouse: secret` (also `secret json`): its value is a secret;
 * - `# gatehouse: {"KEY": …}` sets a key by itself: a masked secret, a reference, null, or what the format cannot say.
 */
const directive = /^#[ \t]*gatehouse:(.*)$/;

/** What a comment says about the assignment that follows it. */
export interface AssignmentKind {
  readonly secret: boolean;
  readonly json: boolean;
}

const kinds: Readonly<Record<string, AssignmentKind>> = {
  json: { secret: false, json: true },
  secret: { secret: true, json: false },
  'secret json': { secret: true, json: true },
};

/** Reads the comments of a text and the assignments they speak of. */
export function createDirectives(entries: Entries) {
  let next: { kind: AssignmentKind; line: number } | undefined;

  const fail = (line: number, error: unknown, key: string): void => {
    if (!(error instanceof JsonTextError)) throw error;
    const field = [key, error.field].filter((part) => part !== '').join('.');
    entries.problem(line, printable(field), error.rule, error.fix);
  };

  const unused = (): void => {
    if (next) {
      const fix = 'put it directly before the line that sets the key, or remove it';
      entries.problem(next.line, '# gatehouse:', 'is about an assignment, and none follows', fix);
    }
    next = undefined;
  };

  return {
    /** A comment line, without leading spaces. */
    comment(text: string, line: number): void {
      const words = directive.exec(text)?.[1]?.trim();
      if (words === undefined) {
        entries.comment();
        return;
      }
      unused();
      const kind = Object.hasOwn(kinds, words) ? kinds[words] : undefined;
      if (kind) next = { kind, line };
      else if (words.startsWith('{')) {
        try {
          parseJsonText(words, (key, value) => entries.add(key, value, line));
        } catch (error) {
          fail(line, error, '');
        }
      } else {
        const fix = 'use json, secret, secret json or {"KEY": …}, or write the comment differently';
        entries.problem(line, '# gatehouse:', 'is followed by something that is not understood', fix);
      }
    },
    /** An assignment of the text `value`. */
    assign(key: string, value: string, line: number): void {
      const { json, secret } = next?.kind ?? { json: false, secret: false };
      next = undefined;
      try {
        const content = json ? parseJsonText(value) : value;
        entries.add(key, secret ? { $secret: content } : content, line);
      } catch (error) {
        fail(line, error, key);
      }
    },
    finish: unused,
  };
}

/**
 * The lines of a configuration in a format of texts. `assignment` gives the line that sets a key to a text, or undefined
 * when the format cannot say it; such keys are `hidden` from other readers of the file.
 */
export function writeAssignments(
  configuration: JsonObject,
  assignment: (key: string, text: string) => string | undefined,
): { text: string; hidden: string[] } {
  const lines: string[] = [];
  const hidden: string[] = [];
  for (const [key, value] of Object.entries(configuration)) {
    if (value === undefined) continue;
    const written = contentOf(value);
    const line = written && assignment(key, written.text);
    if (line === undefined) {
      lines.push(`# gatehouse: ${asciiJson({ [key]: value })}`);
      hidden.push(key);
      continue;
    }
    const words = [written?.secret ? 'secret' : '', written?.json ? 'json' : ''].filter((word) => word !== '');
    if (words.length > 0) lines.push(`# gatehouse: ${words.join(' ')}`);
    lines.push(line);
  }
  return { text: lines.map((line) => `${line}\n`).join(''), hidden };
}

/** The text to assign; undefined for null and for markers that have none: a masked secret, a reference. */
function contentOf(value: JsonValue): (AssignmentKind & { text: string }) | undefined {
  if (typeof value === 'string') return { text: value, json: false, secret: false };
  if (value === null) return undefined;
  if (!isJsonObject(value)) return { text: asciiJson(value), json: true, secret: false };
  const marker = Object.keys(value).find((name) => name.startsWith('$'));
  if (marker === undefined) return { text: asciiJson(value), json: true, secret: false };
  const content = (value as JsonObject)['$secret'];
  if (content === undefined || content === null || (isJsonObject(content) && 'fingerprint' in content))
    return undefined;
  return { ...(contentOf(content) ?? { text: asciiJson(content), json: true }), secret: true };
}

/** JSON in ASCII on one line without `'`: so it means the same in every quoting and character set. */
function asciiJson(value: JsonValue): string {
  return JSON.stringify(value).replace(
    /['\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
