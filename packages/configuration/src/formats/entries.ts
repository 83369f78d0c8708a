import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import type { ConfigurationProblem } from '../errors.ts';

/** Largest text that is read, bytes: the largest configuration with room for escapes and comments. */
export const maxTextBytes = 4 * 1024 * 1024;
/** Deepest nesting of a value. */
export const maxValueDepth = 32;
/** A file that is wrong throughout is not listed line by line. */
const maxProblems = 50;

/** Something the writer of a text should know although it was understood. No message holds a value. */
export interface FormatWarning {
  readonly line: number;
  /** The key it is about. */
  readonly key: string;
  readonly text: string;
}

/** What a text says: a configuration as it is written (`$secret`, `$key`, `$client` are markers). */
export interface ParsedConfiguration {
  readonly configuration: JsonObject;
  /** The line of each key, from 1. */
  readonly lines: ReadonlyMap<string, number>;
  readonly warnings: readonly FormatWarning[];
  /** Comments of people in the text: a configuration does not keep them. */
  readonly comments: number;
}

/** Collects what a reader finds: keys once each, problems with their lines. */
export function createEntries() {
  const values = new Map<string, JsonValue>();
  const lines = new Map<string, number>();
  const problems: ConfigurationProblem[] = [];
  const warnings: FormatWarning[] = [];
  let comments = 0;

  const problem = (line: number, field: string, rule: string, fix: string): void => {
    if (problems.length < maxProblems) problems.push({ field, rule, fix, line });
  };

  return {
    problem,
    add(key: string, value: JsonValue, line: number): void {
      const before = lines.get(key);
      if (before !== undefined) {
        problem(line, printable(key), `is set in line ${before} already`, 'keep one of the two');
        return;
      }
      values.set(key, value);
      lines.set(key, line);
    },
    warn(line: number, key: string, text: string): void {
      if (warnings.length < maxProblems) warnings.push({ line, key: printable(key), text });
    },
    comment(): void {
      comments += 1;
    },
    /** Everything that is wrong so far. */
    problems,
    finish: (): ParsedConfiguration => ({ configuration: Object.fromEntries(values), lines, warnings, comments }),
  };
}

/** What {@link createEntries} gives. */
export type Entries = ReturnType<typeof createEntries>;

/** A name for a message: bounded, and without what could steer a terminal or forge a line of a log. */
export function printable(name: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return name.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?').slice(0, 80);
}
