import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { canonicalJsonBytes, isJsonObject } from '@gatehouse/crypto';
import { AppError, type FieldError } from '../../../kernel/index.ts';
import { formats } from './formats.ts';

/** What a schema may have at most. With these, and {@link maxWork}, no check takes long. */
export const schemaLimits = {
  /** Of its canonical JSON. */
  bytes: 64 * 1024,
  /** JSON values when each `$ref` is replaced by what it names. */
  expandedNodes: 10_000,
  patternCharacters: 500,
} as const;

const dialect = 'https://json-schema.org/draft/2020-12/schema';
const single = new Set(['not', 'if', 'then', 'else', 'items', 'contains', 'propertyNames', 'additionalProperties']);
const lists = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const maps = new Set(['properties', 'patternProperties', 'dependentSchemas', '$defs']);
const plain = new Set([
  'type',
  'enum',
  'const',
  'format',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minContains',
  'maxContains',
  'required',
  'dependentRequired',
  'minProperties',
  'maxProperties',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  '$comment',
]);

/** A schema, or `true` and `false`, which are schemas too. */
export type Schema = JsonObject | boolean;

/**
 * Judges a schema before it is kept: the keywords that are known here, references inside it only, nothing that calls
 * itself, patterns that compile. Throws 400 with what is wrong, by JSON pointer.
 */
export function assertSchema(schema: JsonObject, compilePattern: (pattern: string) => unknown): void {
  const errors: FieldError[] = [];
  const bytes = canonicalJsonBytes(schema).byteLength;
  if (bytes > schemaLimits.bytes) {
    throw invalidSchema([
      { field: 'schema', rule: `is ${bytes} bytes of JSON; at most ${schemaLimits.bytes} are accepted` },
    ]);
  }
  const refuse = (path: string, rule: string, fix?: string) =>
    errors.push({ field: `schema${path}`, rule, ...(fix === undefined ? {} : { fix }) });

  const pattern = (text: string, path: string) => {
    if (text.length > schemaLimits.patternCharacters) {
      refuse(path, `has a pattern of more than ${schemaLimits.patternCharacters} characters`);
      return;
    }
    try {
      compilePattern(text);
    } catch (error) {
      refuse(path, `has a pattern that is not accepted: ${messageOf(error)}`, 'use RE2 syntax: no look-around, no \\1');
    }
  };

  const visit = (node: JsonValue | undefined, path: string): void => {
    if (typeof node === 'boolean') return;
    if (node === undefined || !isJsonObject(node)) {
      refuse(path, 'is not a schema', 'give an object, true or false');
      return;
    }
    for (const [keyword, value] of Object.entries(node) as [string, JsonValue][]) {
      const here = `${path}/${pointerToken(keyword)}`;
      if (single.has(keyword)) visit(value, here);
      else if (lists.has(keyword) && Array.isArray(value)) {
        value.forEach((one, index) => visit(one as JsonValue, `${here}/${index}`));
      } else if (maps.has(keyword) && isJsonObject(value)) {
        for (const [name, one] of Object.entries(value) as [string, JsonValue][]) {
          if (name === '__proto__') refuse(here, 'has the name __proto__', 'leave it out');
          if (keyword === 'patternProperties') pattern(name, here);
          visit(one, `${here}/${pointerToken(name)}`);
        }
      } else if (keyword === 'pattern' && typeof value === 'string') pattern(value, here);
      else if (keyword === 'format' && typeof value === 'string') {
        if (!Object.hasOwn(formats, value)) {
          refuse(here, 'is a format that is not checked here', `use one of ${Object.keys(formats).join(', ')}`);
        }
      } else if (keyword === '$ref') {
        if (typeof value !== 'string' || !definitionOf(schema, value)) {
          refuse(here, 'does not name a definition of this schema', 'use the form #/$defs/<name>');
        }
      } else if (keyword === '$schema') {
        if (value !== dialect || path !== '') refuse(here, 'is another dialect', `use ${dialect}, or leave it out`);
      } else if (!plain.has(keyword) && !lists.has(keyword) && !maps.has(keyword)) {
        refuse(here, 'is not a keyword that is known here', 'see docs/guides/configuration.md');
      }
    }
  };
  visit(schema, '');
  if (errors.length === 0) {
    const size = expandedSize(schema);
    if (size === 'recursive')
      refuse('/$defs', 'has a definition that contains itself', 'write out the levels you need');
    else if (size > schemaLimits.expandedNodes) {
      refuse(
        '',
        `is ${size} values with its references written out; at most ${schemaLimits.expandedNodes} are accepted`,
      );
    }
  }
  if (errors.length > 0) throw invalidSchema(errors.slice(0, 20));
}

/** 400 for a schema that cannot be used. */
export function invalidSchema(errors: readonly FieldError[]): AppError {
  const [first] = errors;
  return new AppError('kernel.invalid_request', { detail: first ? `${first.field} ${first.rule}` : 'schema', errors });
}

/** What a `$ref` names. */
export function definitionOf(schema: JsonObject, reference: string): Schema | undefined {
  const token = /^#\/\$defs\/([^/]+)$/.exec(reference)?.[1];
  const definitions = schema['$defs'];
  if (token === undefined || definitions === undefined || !isJsonObject(definitions)) return undefined;
  const name = decodeToken(token);
  if (name === undefined || !Object.hasOwn(definitions, name)) return undefined;
  return (definitions as JsonObject)[name] as Schema;
}

/** How many JSON values a schema has with each reference replaced by what it names. */
export function expandedSize(schema: JsonObject): number | 'recursive' {
  const known = new Map<JsonValue, number>();
  const open = new Set<JsonValue>();
  let recursive = false;
  const count = (node: JsonValue | undefined): number => {
    if (node === undefined || recursive) return 0;
    if (Array.isArray(node)) return node.reduce<number>((sum, one) => sum + count(one as JsonValue), 1);
    if (!isJsonObject(node)) return 1;
    let size = 1;
    for (const [name, value] of Object.entries(node) as [string, JsonValue][]) {
      if (name === '$defs' && node === schema) continue;
      size += count(value);
      const target = name === '$ref' && typeof value === 'string' ? definitionOf(schema, value) : undefined;
      if (target !== undefined) size += countDefinition(target);
      if (size > 1e9) return size;
    }
    return size;
  };
  const countDefinition = (target: JsonValue): number => {
    const before = known.get(target);
    if (before !== undefined) return before;
    if (open.has(target)) {
      recursive = true;
      return 0;
    }
    open.add(target);
    const size = count(target);
    open.delete(target);
    if (isJsonObject(target)) known.set(target, size);
    return size;
  };
  // Definitions that nothing names are compiled too.
  const total = count(schema) + count(schema['$defs']);
  return recursive ? 'recursive' : total;
}

/** A name as a token of a JSON pointer (RFC 6901 §3), fit for a message. */
export function pointerToken(name: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  const shown = name.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?').slice(0, 256);
  return shown.replaceAll('~', '~0').replaceAll('/', '~1');
}

function decodeToken(token: string): string | undefined {
  try {
    return decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return undefined;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 200) : 'unknown';
}
