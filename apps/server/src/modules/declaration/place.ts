import { AppError } from '../../kernel/index.ts';

/** Keys and list positions that lead to a place in the declaration. */
export type Place = readonly (string | number)[];

/** Where something stands in the declaration, as its errors say it. */
export function pathText(path: Place): string {
  return path.join('.');
}

/** A 400 that names a place in the declaration. */
export function invalidAt(path: Place, rule: string, fix: string): AppError {
  const field = pathText(path);
  return new AppError('kernel.invalid_request', { detail: `${field} ${rule}`, errors: [{ field, rule, fix }] });
}

/** Runs work for a place in the declaration; an error of a module below gets the place in front. */
export async function atPlace<T>(path: Place, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const place = pathText(path);
    if (!(error instanceof AppError) || error.status >= 500 || error.detail?.startsWith(place)) throw error;
    throw new AppError(error.code, {
      detail: `${place}${error.errors ? '.' : ': '}${error.detail ?? error.message}`,
      ...(error.errors ? { errors: error.errors.map((one) => ({ ...one, field: `${place}.${one.field}` })) } : {}),
      extensions: error.extensions,
      cause: error,
    });
  }
}
