import { AppError } from '../errors.ts';

/** An opaque cursor over the sort key of the last item of a page. */
export function encodeCursor(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** The sort key in a cursor of `length` parts; undefined without one; 400 for one that is not ours. */
export function decodeCursor(cursor: string | undefined, length: number): (string | number)[] | undefined {
  if (cursor === undefined) return undefined;
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (
      Array.isArray(key) &&
      key.length === length &&
      key.every((part) => typeof part === 'string' || typeof part === 'number')
    ) {
      return key;
    }
  } catch {
    // not JSON: refused below
  }
  throw new AppError('kernel.invalid_cursor', { detail: 'Use the next_cursor of the page before, unchanged.' });
}

/** Cuts `limit + 1` rows to a page: asks the query for one more than the page to know whether there is a next one. */
export function pageFrom<R, T>(
  rows: readonly R[],
  limit: number,
  keyOf: (row: R) => readonly (string | number)[],
  toItem: (row: R) => T,
): { items: T[]; next_cursor?: string } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return rows.length > limit && last
    ? { items: items.map(toItem), next_cursor: encodeCursor(keyOf(last)) }
    : { items: items.map(toItem) };
}
