import { type ErrorCode, errorTable, type JsonObject } from '@gatehouse/contracts';

/** One field of a request that is wrong: where, which rule, and how to put it right. */
export interface FieldError {
  field: string;
  rule: string;
  fix?: string;
}

/** What an {@link AppError} may carry besides its code. Nothing secret: detail, errors and extensions leave the house. */
export interface AppErrorOptions {
  detail?: string;
  errors?: readonly FieldError[];
  headers?: Readonly<Record<string, string>>;
  /** Extra members of the problem document, such as a challenge. */
  extensions?: JsonObject;
  /** Logged, never sent. */
  cause?: unknown;
}

/** The one error class: a code of the table in `packages/contracts/src/errors.ts`. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly detail: string | undefined;
  readonly errors: readonly FieldError[] | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly extensions: JsonObject;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(options.detail ?? errorTable[code].title, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.status = errorTable[code].status;
    this.detail = options.detail;
    this.errors = options.errors;
    this.headers = options.headers ?? {};
    this.extensions = options.extensions ?? {};
  }
}

/** A 400 that names one field, the rule it breaks and the fix. */
export function invalidField(field: string, rule: string, fix?: string): AppError {
  const error: FieldError = fix === undefined ? { field, rule } : { field, rule, fix };
  return new AppError('kernel.invalid_request', { detail: `${field} ${rule}`, errors: [error] });
}

/** True when `error` is an {@link AppError} of this code. */
export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code);
}
