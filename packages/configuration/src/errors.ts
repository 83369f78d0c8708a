/** One thing that is wrong with a configuration: where, which rule, and how to put it right. */
export interface ConfigurationProblem {
  readonly field: string;
  readonly rule: string;
  readonly fix?: string;
  /** Line of the text that it was read from, from 1. */
  readonly line?: number;
}

/** A configuration, or a text that should be one, is not right. No message holds a value. */
export class ConfigurationError extends Error {
  readonly problems: readonly ConfigurationProblem[];

  constructor(problems: readonly ConfigurationProblem[]) {
    super(problems.map(({ field, rule, fix }) => `${field} ${rule}${fix ? `: ${fix}` : ''}`).join('; '));
    this.name = 'ConfigurationError';
    this.problems = problems;
  }
}
