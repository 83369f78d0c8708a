import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { canonicalJson, isJsonObject } from '@gatehouse/crypto';
import type { FieldError } from '../../../kernel/index.ts';
import { definitionOf, pointerToken, type Schema } from './schema-rules.ts';

/** What is judged: each key with its value, or `hidden` for a secret whose value must not count. */
export type Subject = ReadonlyMap<
  string,
  { readonly value: JsonValue; readonly hidden?: boolean; readonly isSecret?: boolean }
>;

/** A value, or a key's name, that has to be judged by a schema of {@link valueSchemasOf}. */
export interface CheckedValue {
  readonly schema: number;
  readonly key: string;
  readonly value: JsonValue;
  readonly isSecret: boolean;
  readonly isName: boolean;
}

/** The schemas inside a schema that apply to single values of the configuration, numbered. */
export interface ValueSchemas {
  readonly list: readonly Schema[];
  readonly numberOf: ReadonlyMap<Schema, number>;
  /** `patternProperties` by their patterns. */
  readonly patterns: ReadonlyMap<string, { test(text: string): boolean }>;
}

/**
 * True, false, or `undefined`: it depends on a value that must not count. This is Kleene's logic: what comes out is the
 * same for every value of the hidden secrets, so nobody learns of them by asking.
 */
type Verdict = boolean | undefined;
interface Judgement {
  readonly verdict: Verdict;
  readonly errors: readonly FieldError[];
}

const applied = ['allOf', 'anyOf', 'oneOf'] as const;
const conditions = ['not', 'if', 'then', 'else'] as const;

/** Finds and numbers the schemas that apply to values. */
export function valueSchemasOf(
  schema: JsonObject,
  compilePattern: (pattern: string) => { test(text: string): boolean },
): ValueSchemas {
  const numberOf = new Map<Schema, number>();
  const patterns = new Map<string, { test(text: string): boolean }>();
  const seen = new Set<Schema>();
  const add = (value: JsonValue | undefined) => {
    if (value !== undefined && isJsonObject(value) && !numberOf.has(value)) numberOf.set(value, numberOf.size);
  };
  const visit = (node: JsonValue | undefined): void => {
    if (node === undefined || !isJsonObject(node) || seen.has(node)) return;
    seen.add(node);
    for (const value of valuesOf(node['properties'])) add(value);
    for (const [pattern, value] of entriesOf(node['patternProperties'])) {
      patterns.set(pattern, compilePattern(pattern));
      add(value);
    }
    add(node['additionalProperties']);
    add(node['propertyNames']);
    for (const keyword of applied) for (const one of listOf(node[keyword])) visit(one);
    for (const keyword of conditions) visit(node[keyword]);
    for (const value of valuesOf(node['dependentSchemas'])) visit(value);
    if (typeof node['$ref'] === 'string') visit(definitionOf(schema, node['$ref']));
  };
  visit(schema);
  return { list: [...numberOf.keys()], numberOf, patterns };
}

/**
 * Judges a configuration. The schema's first level, where secrets are values of keys, is judged here, three-valued; what
 * applies to a value that may be looked at is judged by `verdicts`. What depends on a hidden secret alone is accepted.
 */
export function judge(
  schema: JsonObject,
  { numberOf, patterns }: ValueSchemas,
  subject: Subject,
  verdicts: (checks: readonly CheckedValue[]) => ReadonlyMap<string, readonly FieldError[]>,
): readonly FieldError[] {
  const wanted = new Map<string, CheckedValue>();
  let failed: ReadonlyMap<string, readonly FieldError[]> = new Map();

  /** One value by one schema. The first walk gathers what has to be judged, the second one knows. */
  const value = (by: JsonValue | undefined, key: string, name = false): Judgement => {
    const at = `/${pointerToken(key)}`;
    if (by === true || by === undefined) return fine;
    if (by === false) return wrong(at, 'is not allowed by the schema');
    const member = subject.get(key);
    const number = numberOf.get(by as Schema);
    if (!member || number === undefined) return fine;
    if (Object.keys(by as JsonObject).length === 0) return fine;
    if (member.hidden && !name) return unknown;
    const id = `${number} ${key}`;
    const { isSecret = false } = member;
    wanted.set(id, { schema: number, key, value: name ? key : member.value, isSecret, isName: name });
    const errors = failed.get(id);
    return errors ? { verdict: false, errors } : fine;
  };

  const whole = (): Record<string, JsonValue> => Object.fromEntries([...subject].map(([key, one]) => [key, one.value]));
  const someHidden = [...subject.values()].some((member) => member.hidden);

  const node = (by: JsonValue | undefined): Judgement => {
    if (by === undefined || by === true) return fine;
    if (by === false) return wrong('', 'is not allowed by the schema');
    const one = by as JsonObject;
    const parts: Judgement[] = [];
    const { type } = one;
    if (type !== undefined && ![type].flat().includes('object'))
      parts.push(wrong('', 'is an object, which the schema does not allow'));
    for (const keyword of ['const', 'enum'] as const) {
      if (one[keyword] === undefined) continue;
      if (someHidden) parts.push(unknown);
      else {
        const own = canonicalJson(whole());
        const among = keyword === 'const' ? [one[keyword]] : listOf(one[keyword]);
        if (!among.some((other) => canonicalJson(other) === own))
          parts.push(wrong('', `is not what ${keyword} allows`));
      }
    }
    parts.push(...names(one));
    for (const [key] of subject) parts.push(...members(one, key));
    for (const part of listOf(one['allOf'])) parts.push(node(part));
    if (one['anyOf'] !== undefined) parts.push(anyOf(listOf(one['anyOf']).map(node)));
    if (one['oneOf'] !== undefined) parts.push(oneOf(listOf(one['oneOf']).map(node)));
    if (one['not'] !== undefined) parts.push(negated(node(one['not'])));
    if (one['if'] !== undefined) parts.push(conditional(node(one['if']), node(one['then']), node(one['else'])));
    for (const [key, dependent] of entriesOf(one['dependentSchemas']))
      if (subject.has(key)) parts.push(node(dependent));
    if (typeof one['$ref'] === 'string') parts.push(node(definitionOf(schema, one['$ref'])));
    return allOf(parts);
  };

  /** The keywords that ask only which keys there are. */
  const names = (one: JsonObject): Judgement[] => {
    const parts: Judgement[] = [];
    const require = (key: string, why: string) => {
      if (!subject.has(key)) parts.push(wrong(`/${pointerToken(key)}`, why));
    };
    for (const key of listOf(one['required'])) if (typeof key === 'string') require(key, 'is required');
    for (const [key, others] of entriesOf(one['dependentRequired'])) {
      if (subject.has(key))
        for (const other of listOf(others))
          if (typeof other === 'string') require(other, `is required beside ${pointerToken(key)}`);
    }
    const { minProperties, maxProperties } = one;
    if (typeof minProperties === 'number' && subject.size < minProperties) {
      parts.push(wrong('', `has fewer than ${minProperties} keys`));
    }
    if (typeof maxProperties === 'number' && subject.size > maxProperties) {
      parts.push(wrong('', `has more than ${maxProperties} keys`));
    }
    return parts;
  };

  /** The keywords that apply a schema to the value, or the name, of a key. */
  const members = (one: JsonObject, key: string): Judgement[] => {
    const parts: Judgement[] = [];
    const own = one['properties'] as JsonObject | undefined;
    let isNamed = false;
    if (own !== undefined && Object.hasOwn(own, key)) {
      isNamed = true;
      parts.push(value(own[key], key));
    }
    for (const [pattern, by] of entriesOf(one['patternProperties'])) {
      if (patterns.get(pattern)?.test(key) !== true) continue;
      isNamed = true;
      parts.push(value(by, key));
    }
    if (!isNamed) parts.push(value(one['additionalProperties'], key));
    const { propertyNames } = one;
    if (propertyNames === false) parts.push(wrong(`/${pointerToken(key)}`, 'is not allowed by the schema'));
    else parts.push(value(propertyNames, key, true));
    return parts;
  };

  node(schema);
  failed = verdicts([...wanted.values()]);
  const { verdict, errors } = node(schema);
  return verdict === false ? unique(errors) : [];
}

const fine: Judgement = { verdict: true, errors: [] };
const unknown: Judgement = { verdict: undefined, errors: [] };

function wrong(field: string, rule: string): Judgement {
  return { verdict: false, errors: [{ field, rule }] };
}

function allOf(parts: readonly Judgement[]): Judgement {
  const failed = parts.filter((part) => part.verdict === false);
  if (failed.length > 0) return { verdict: false, errors: failed.flatMap((part) => part.errors) };
  return parts.some((part) => part.verdict === undefined) ? unknown : fine;
}

function anyOf(parts: readonly Judgement[]): Judgement {
  if (parts.some((part) => part.verdict === true)) return fine;
  if (parts.some((part) => part.verdict === undefined)) return unknown;
  const summary = { field: '', rule: 'fits none of the schemas of anyOf' };
  return { verdict: false, errors: [summary, ...parts.flatMap((part) => part.errors)] };
}

function oneOf(parts: readonly Judgement[]): Judgement {
  const fitting = parts.filter((part) => part.verdict === true).length;
  if (fitting > 1) return wrong('', 'fits more than one of the schemas of oneOf');
  if (parts.some((part) => part.verdict === undefined)) return unknown;
  if (fitting === 1) return fine;
  const summary = { field: '', rule: 'fits none of the schemas of oneOf' };
  return { verdict: false, errors: [summary, ...parts.flatMap((part) => part.errors)] };
}

function negated({ verdict }: Judgement): Judgement {
  if (verdict === undefined) return unknown;
  return verdict ? wrong('', 'fits the schema of not') : fine;
}

function conditional(condition: Judgement, then: Judgement, otherwise: Judgement): Judgement {
  if (condition.verdict === true) return then;
  if (condition.verdict === false) return otherwise;
  if (then.verdict === false && otherwise.verdict === false) return then;
  return then.verdict === true && otherwise.verdict === true ? fine : unknown;
}

function unique(errors: readonly FieldError[]): FieldError[] {
  return [...new Map(errors.map((error) => [`${error.field} ${error.rule}`, error])).values()];
}

function listOf(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? (value as JsonValue[]) : [];
}

function entriesOf(value: JsonValue | undefined): [string, JsonValue][] {
  return value !== undefined && isJsonObject(value) ? (Object.entries(value) as [string, JsonValue][]) : [];
}

function valuesOf(value: JsonValue | undefined): JsonValue[] {
  return entriesOf(value).map(([, one]) => one);
}
