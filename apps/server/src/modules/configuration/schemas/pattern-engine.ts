import { RE2JS } from 're2js';

/** A pattern needed more work than a check may take. */
export class PatternBudgetSpent extends Error {}

/** Steps of pattern matching that one check of a configuration may take: well below a second. */
const maxSteps = 10_000_000;
/** Size of one compiled pattern. */
const maxProgramSize = 2_000;

/**
 * Regular expressions of schemas, by RE2: time linear in the text, whatever the pattern. What RE2 lacks (look-around,
 * back references) is refused when the schema is set. Linear is not yet short, so the work of a check is bounded too.
 */
export function createPatternEngine() {
  let left = maxSteps;

  const compile = (pattern: string) => {
    const compiled = RE2JS.compile(pattern);
    const size = compiled.programSize();
    if (size > maxProgramSize) throw new Error('the pattern is too large when its repetitions are written out');
    return {
      test(text: string): boolean {
        left -= (text.length + 1) * size;
        if (left < 0) throw new PatternBudgetSpent();
        return compiled.test(text);
      },
      /** Ajv tells patterns apart by this. */
      toString: () => `re2 ${pattern}`,
    };
  };

  return {
    compile,
    /** As Ajv wants it: `code` would only be used by code that is written to a file. */
    forAjv: Object.assign((pattern: string) => compile(pattern) as unknown as RegExp, { code: 're2' }),
    /** Runs one check with a new budget. */
    withBudget<T>(check: () => T): T {
      left = maxSteps;
      return check();
    },
  };
}

/** What {@link createPatternEngine} gives. */
export type PatternEngine = ReturnType<typeof createPatternEngine>;
