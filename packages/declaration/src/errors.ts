/** One thing that is wrong in a declaration: where, which rule, how to put it right. */
export interface DeclarationFault {
  /** Path of keys, such as `organizations.acme.services.records.pop_url`; empty for the file as a whole. */
  readonly field: string;
  readonly rule: string;
  readonly fix?: string;
  /** Line in the file, from 1. */
  readonly line?: number;
}

/** A declaration that cannot be used. The message lists every fault, a line each, beginning with file and line. */
export class DeclarationError extends Error {
  readonly faults: readonly DeclarationFault[];

  constructor(file: string, faults: readonly DeclarationFault[]) {
    super(faults.map((fault) => describe(file, fault)).join('\n'));
    this.name = 'DeclarationError';
    this.faults = faults;
  }
}

function describe(file: string, { field, rule, fix, line }: DeclarationFault): string {
  const where = line === undefined ? file : `${file}:${line}`;
  return `${where}: ${field === '' ? '' : `${field} `}${rule}${fix === undefined ? '' : `; ${fix}`}`;
}
