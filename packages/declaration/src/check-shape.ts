import { configurationKeyPattern, labelNamePattern, namePattern } from '@gatehouse/contracts';
import { nearestName } from './did-you-mean.ts';

/** A place that does not fit the schema. `path` is the keys to it, `field` the same joined by dots. */
export interface ShapeError {
  readonly path: readonly (string | number)[];
  readonly field: string;
  readonly rule: string;
  readonly fix?: string;
}

/** The part of JSON Schema that the declaration's schemas use. */
interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'boolean' | 'integer';
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Fields that only the other form has: refused like unknown ones, with what to do. */
const hints: Readonly<Record<string, string>> = {
  password: 'write the password to a file and name it with password_file',
  client_secret: 'write the secret to a file and name it with client_secret_file',
  secret: 'write the secret to a file and name it with secret_file',
};
const wireHints: Readonly<Record<string, string>> = {
  password_file: 'the API takes values, not paths: send password',
  client_secret_file: 'the API takes values, not paths: send client_secret',
  secret_file: 'the API takes values, not paths: send secret',
};

/**
 * Compares a value with a declaration schema and names every place that does not fit, at most 50.
 * The validator behind the routes says the same in fewer words; this one knows what the writer probably meant.
 */
export function checkShape(schema: unknown, value: unknown): ShapeError[] {
  const errors: ShapeError[] = [];
  visit(schema as Schema, value, [], errors);
  return errors.slice(0, 50);
}

function visit(schema: Schema, value: unknown, path: readonly (string | number)[], errors: ShapeError[]): void {
  if (errors.length >= 50) return;
  const report = (rule: string, fix?: string, at: readonly (string | number)[] = path) => {
    const error = { path: at, field: at.map(String).join('.'), rule };
    errors.push(fix === undefined ? error : { ...error, fix });
  };
  if (schema.enum !== undefined) {
    if (typeof value !== 'string' || !schema.enum.includes(value)) {
      const near = typeof value === 'string' ? nearestName(value, schema.enum) : undefined;
      report(`must be one of ${schema.enum.join(', ')}`, near === undefined ? undefined : `did you mean ${near}?`);
    }
    return;
  }
  switch (schema.type) {
    case 'object':
      visitObject(schema, value, path, errors, report);
      return;
    case 'array':
      visitArray(schema, value, path, errors, report);
      return;
    case 'string':
      visitString(schema, value, report);
      return;
    case 'boolean':
      if (typeof value !== 'boolean') report('must be true or false');
      return;
    case 'integer': {
      const { minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER } = schema;
      if (!Number.isSafeInteger(value) || (value as number) < minimum || (value as number) > maximum)
        report(`must be a whole number from ${minimum} to ${maximum}`);
      return;
    }
    default: // any value
  }
}

type Report = (rule: string, fix?: string, at?: readonly (string | number)[]) => void;

function visitObject(
  schema: Schema,
  value: unknown,
  path: readonly (string | number)[],
  errors: ShapeError[],
  report: Report,
): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    report('must be a mapping', 'write keys and values below it');
    return;
  }
  const members = Object.entries(value);
  if (members.length > (schema.maxProperties ?? Number.POSITIVE_INFINITY)) {
    report(`has more than ${schema.maxProperties} entries`);
  }
  const [pattern, patternSchema] = Object.entries(schema.patternProperties ?? {})[0] ?? [];
  for (const [key, member] of members) {
    const at = [...path, key];
    const known = Object.hasOwn(schema.properties ?? {}, key) ? schema.properties?.[key] : undefined;
    if (known) visit(known, member, at, errors);
    else if (pattern !== undefined && patternSchema) {
      if (new RegExp(pattern, 'u').test(key)) visit(patternSchema, member, at, errors);
      else report('is not a name that is allowed here', nameFix(pattern), at);
    } else report('is not known', unknownFix(key, Object.keys(schema.properties ?? {})), at);
  }
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(value, name)) report('is missing', 'add it', [...path, name]);
  }
}

const nameFixes: Readonly<Record<string, string>> = {
  [namePattern]: 'use lower-case letters, digits, _ and -, beginning with a letter or digit, at most 63 characters',
  [configurationKeyPattern]: 'use 1 to 256 characters, no control characters, not beginning with $',
  [labelNamePattern]: 'use letters, digits and . _ / -, beginning with a letter or digit, at most 63 characters',
};

function nameFix(pattern: string): string {
  return nameFixes[pattern] ?? 'use at most 255 characters, no control characters, no space at either end';
}

function unknownFix(key: string, known: readonly string[]): string {
  const hint = known.includes(`${key}_file`) ? hints[key] : undefined;
  const near = nearestName(key, known);
  const wire = known.includes(key.replace(/_file$/, '')) ? wireHints[key] : undefined;
  return wire ?? hint ?? (near === undefined ? `known here: ${known.join(', ')}` : `did you mean ${near}?`);
}

function visitArray(
  schema: Schema,
  value: unknown,
  path: readonly (string | number)[],
  errors: ShapeError[],
  report: Report,
): void {
  if (!Array.isArray(value)) {
    report('must be a list', 'write [a, b] or lines that begin with -');
    return;
  }
  if (value.length < (schema.minItems ?? 0)) report(`needs at least ${schema.minItems} entries`);
  if (value.length > (schema.maxItems ?? Number.POSITIVE_INFINITY)) report(`has more than ${schema.maxItems} entries`);
  if (schema.uniqueItems && new Set(value).size < value.length) report('names an entry twice', 'remove one of the two');
  for (const [index, item] of value.entries()) visit(schema.items ?? {}, item, [...path, index], errors);
}

function visitString(schema: Schema, value: unknown, report: Report): void {
  const expected = schema.description === undefined ? undefined : `use ${schema.description}`;
  if (typeof value !== 'string') {
    // The value itself is not repeated: it may be a password that looks like a number.
    report('must be text', typeof value === 'object' ? expected : 'put it in quotes');
  } else if (value.length < (schema.minLength ?? 0)) {
    report(value === '' ? 'is empty' : `is shorter than ${schema.minLength} characters`, expected);
  } else if (value.length > (schema.maxLength ?? Number.POSITIVE_INFINITY)) {
    report(`is longer than ${schema.maxLength} characters`);
  } else if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value)) {
    report('has a form that is not allowed', expected);
  }
}
