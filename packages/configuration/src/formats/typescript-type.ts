import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { isJsonObject } from '@gatehouse/crypto';
import { isVisibleSecret } from '../values.ts';

/** Deepest nesting that is written out; below, and where a schema says more than a type can, it is `unknown`. */
const maxDepth = 16;
/** Most schemas that are written out. */
const maxSchemas = 5000;

/**
 * A TypeScript interface for a namespace: from its JSON Schema, or without one from the values of a version. It is
 * source code made of what others wrote: names are quoted, and no description can end its comment.
 */
export function typescriptType({
  name,
  schema,
  configuration,
  about,
}: {
  name: string;
  schema: JsonObject | undefined;
  configuration: JsonObject;
  /** A sentence for the comment above the type. */
  about: string;
}): string {
  const body = schema
    ? schemaType(schema, { root: schema, depth: 0, refs: ['#'], budget: { left: maxSchemas } })
    : membersOf(configuration);
  const declaration = body.startsWith('{') ? `export interface ${name} ${body}` : `export type ${name} = ${body};`;
  return `${comment(about, '')}${declaration}\n`;
}

/** The name of the type: `BillingConfiguration`, `BillingStagingConfiguration`. */
export function typescriptName(service: string, namespace: string): string {
  const parts = [service, ...(namespace === 'default' ? [] : [namespace])].flatMap((part) => part.split(/[-_]+/));
  const joined = parts.map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('');
  return `${/^\d/.test(joined) ? '_' : ''}${joined}Configuration`;
}

function membersOf(configuration: JsonObject): string {
  const members = Object.entries(configuration).flatMap(([key, value]) => {
    if (value === undefined) return [];
    if (!isVisibleSecret(value)) return [{ key, type: valueType(value, 1), optional: false, description: '' }];
    const description = 'A secret, taken for a text; a JSON Schema of the namespace can say otherwise.';
    return [{ key, type: 'string', optional: false, description }];
  });
  return object(members);
}

interface Member {
  readonly key: string;
  readonly type: string;
  readonly optional: boolean;
  readonly description: string;
}

function object(members: readonly Member[], rest?: string): string {
  const inner = (type: string) => type.replaceAll('\n', '\n  ');
  const lines = members.map(
    ({ key, type, optional, description }) =>
      `${comment(description, '  ')}  readonly ${property(key)}${optional ? '?' : ''}: ${inner(type)};\n`,
  );
  if (rest !== undefined) lines.push(`  readonly [key: string]: ${inner(rest)};\n`);
  return lines.length === 0 ? '{}' : `{\n${lines.join('')}}`;
}

function property(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? key : JSON.stringify(key);
}

function comment(text: string, indent: string): string {
  // oxlint-disable-next-line no-control-regex -- what could leave the comment is what is looked for
  const line = text.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
  return line === '' ? '' : `${indent}/** ${line.slice(0, 400).replaceAll('*/', '* /')} */\n`;
}

function valueType(value: JsonValue, depth: number): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  if (depth > maxDepth) return 'unknown';
  if (Array.isArray(value)) return list(union(value.map((item) => valueType(item as JsonValue, depth + 1))));
  const members = Object.entries(value).map(([key, member]) => ({
    key,
    type: valueType(member as JsonValue, depth + 1),
    optional: false,
    description: '',
  }));
  return object(members);
}

interface Place {
  readonly root: JsonObject;
  readonly depth: number;
  /** References on the way here: one that comes again is `unknown`. */
  readonly refs: readonly string[];
  /** Schemas that may still be visited: references can multiply without end. */
  readonly budget: { left: number };
}

function schemaType(schema: JsonValue | undefined, place: Place): string {
  if (schema === undefined || typeof schema === 'boolean' || !isJsonObject(schema)) return 'unknown';
  place.budget.left -= 1;
  if (place.depth > maxDepth || place.budget.left < 0) return 'unknown';
  const { $ref: ref, const: only, enum: some, anyOf, oneOf, allOf, type } = schema as Record<string, JsonValue>;
  if (typeof ref === 'string') {
    if (place.refs.includes(ref)) return 'unknown';
    return schemaType(referred(place.root, ref), { ...place, depth: place.depth + 1, refs: [...place.refs, ref] });
  }
  if (only !== undefined) return literal(only);
  if (Array.isArray(some)) return union(some.map(literal));
  const either = anyOf ?? oneOf;
  if (Array.isArray(either)) return union(either.map((one) => schemaType(one as JsonValue, place)));
  if (type === undefined && Array.isArray(allOf)) {
    return allOf.map((one) => parenthesized(schemaType(one as JsonValue, place))).join(' & ') || 'unknown';
  }
  const types = Array.isArray(type) ? type : [type ?? (isJsonObject(schema['properties']) ? 'object' : null)];
  return union(types.map((one) => typeOf(one as JsonValue, schema as JsonObject, place)));
}

function typeOf(type: JsonValue, schema: JsonObject, place: Place): string {
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    case 'number':
    case 'integer':
      return 'number';
    case 'array':
      return arrayType(schema, place);
    case 'object':
      return objectType(schema, place);
    default:
      return 'unknown';
  }
}

function arrayType({ items, prefixItems }: JsonObject, place: Place): string {
  const deeper = { ...place, depth: place.depth + 1 };
  const item = schemaType(items, deeper);
  if (!Array.isArray(prefixItems)) return list(item);
  const first = prefixItems.map((one) => schemaType(one as JsonValue, deeper));
  const more = items === false ? [] : [`...${parenthesized(item)}[]`];
  return `readonly [${[...first, ...more].join(', ')}]`;
}

function objectType(schema: JsonObject, place: Place): string {
  const { properties, required, additionalProperties } = schema;
  const deeper = { ...place, depth: place.depth + 1 };
  const needed = new Set(Array.isArray(required) ? required : []);
  const members = Object.entries(properties !== undefined && isJsonObject(properties) ? properties : {}).map(
    ([key, member]) => ({
      key,
      type: schemaType(member as JsonValue, deeper),
      optional: !needed.has(key),
      description: descriptionOf(member as JsonValue),
    }),
  );
  // Beside named members an index signature would have to fit them all; they are what a program reads by name.
  if (members.length > 0) return object(members);
  return additionalProperties === false ? '{}' : object([], schemaType(additionalProperties ?? true, deeper));
}

function descriptionOf(schema: JsonValue): string {
  const { description, title } = (isJsonObject(schema) ? schema : {}) as Record<string, JsonValue>;
  return typeof description === 'string' ? description : typeof title === 'string' ? title : '';
}

/** A schema of the same document, `#/$defs/name`. */
function referred(root: JsonObject, ref: string): JsonValue | undefined {
  if (ref === '#') return root;
  if (!ref.startsWith('#/')) return undefined;
  let at: JsonValue | undefined = root;
  for (const part of ref.slice(2).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (at === undefined || !isJsonObject(at) || !Object.hasOwn(at, key)) return undefined;
    at = (at as JsonObject)[key];
  }
  return at;
}

function literal(value: JsonValue): string {
  return value === null || typeof value !== 'object' ? JSON.stringify(value) : valueType(value, 1);
}

function union(types: readonly string[]): string {
  const distinct = [...new Set(types)];
  return distinct.includes('unknown') ? 'unknown' : distinct.join(' | ') || 'unknown';
}

function list(item: string): string {
  return `readonly ${parenthesized(item)}[]`;
}

function parenthesized(type: string): string {
  return / [|&] |^readonly /.test(type) && !type.startsWith('{') ? `(${type})` : type;
}
