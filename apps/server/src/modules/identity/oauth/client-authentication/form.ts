import { invalidRequest } from '../oauth-error.ts';

/** A parsed form: single values, and the few that may come more than once. */
export interface Form {
  readonly all: URLSearchParams;
  readonly single: Readonly<Record<string, string | undefined>>;
}

/** Parameters that may be repeated: RFC 8693 §2.1, RFC 8707 §2. */
const repeatable = new Set(['audience', 'resource']);
const maxParameters = 100;

/**
 * Parses the body of an OAuth request. No parameter twice (RFC 6749 §3.1), empty ones count as absent (RFC 6749 §3.1),
 * no control characters.
 */
export function parseForm(contentType: string | undefined, body: Buffer | undefined): Form {
  if (body && body.length > 0 && !/^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType ?? '')) {
    throw invalidRequest('the body must be application/x-www-form-urlencoded');
  }
  const all = new URLSearchParams(body?.toString('utf8') ?? '');
  if (all.size > maxParameters) throw invalidRequest('too many parameters');
  const single: Record<string, string | undefined> = Object.create(null) as Record<string, string | undefined>;
  // A copy is walked, because empty parameters are taken out on the way.
  for (const [name, value] of Array.from(all)) {
    // oxlint-disable-next-line no-control-regex -- control characters are what is refused
    if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(value))
      throw invalidRequest('a parameter holds control characters');
    if (value === '') {
      all.delete(name, '');
    } else if (name in single) {
      if (!repeatable.has(name)) throw invalidRequest('a parameter was sent twice');
    } else {
      single[name] = value;
    }
  }
  return { all, single };
}
