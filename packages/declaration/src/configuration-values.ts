import type { ShapeError } from './check-shape.ts';

/** The two forms of a declaration: a file names files, what travels carries values. */
export type DeclarationForm = 'file' | 'wire';

/** A value of a configuration that stands in a file beside the declaration: `{secret_file: ./db.secret}`. */
export function secretFileOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const [[name, path] = [], ...more] = Object.entries(value);
  return name === 'secret_file' && more.length === 0 && typeof path === 'string' ? path : undefined;
}

/**
 * What only a declaration knows of configuration values: where a secret stands. What a value may be besides is checked by
 * the server, which publishes it.
 */
export function checkValues(
  configuration: Readonly<Record<string, unknown>>,
  path: readonly (string | number)[],
  form: DeclarationForm,
): ShapeError[] {
  return Object.entries(configuration).flatMap(([key, value]): ShapeError[] => {
    const at = [...path, key];
    const error = (rule: string, fix: string) => [{ path: at, field: at.join('.'), rule, fix }];
    if (hasUnwritableNumber(value)) return error('has a number that JSON cannot write', 'write it as text');
    if (typeof value !== 'object' || value === null) return [];
    if (form === 'file' && Object.hasOwn(value, '$secret')) {
      return error('has a secret in the declaration itself', 'write it to a file and name it with {secret_file: path}');
    }
    if (!Object.hasOwn(value, 'secret_file')) return [];
    if (form === 'wire') {
      return error('names a file', 'the API takes values, not paths: send {"$secret": value}');
    }
    if (secretFileOf(value) !== undefined) return [];
    return error('has a secret_file that is not understood', 'write {secret_file: path} and nothing beside it');
  });
}

/** YAML knows infinity and what is not a number; JSON would silently make them null. */
function hasUnwritableNumber(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  return typeof value === 'object' && value !== null && Object.values(value).some(hasUnwritableNumber);
}
