import { createHash } from 'node:crypto';
import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { canonicalJson, canonicalJsonBytes, isJsonObject } from '@gatehouse/crypto';
import { type ErrorObject, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { FieldError } from '../../../kernel/index.ts';
import { formats } from './formats.ts';
import { createPatternEngine, PatternBudgetSpent, type PatternEngine } from './pattern-engine.ts';
import { type CheckedValue, judge, type Subject, valueSchemasOf } from './schema-judgement.ts';
import { assertSchema, expandedSize, invalidSchema, pointerToken } from './schema-rules.ts';

/** JSON values of the schema times those of the configuration: at most some tenths of a second. */
export const maxWork = 20_000_000;
const maxCached = 100;

interface Compiled {
  /** The schema whose parts `valueSchemas` numbers: they are told apart by identity. */
  readonly schema: JsonObject;
  readonly valueSchemas: ReturnType<typeof valueSchemasOf>;
  readonly validate: ValidateFunction;
  readonly size: number;
}

/**
 * JSON Schemas (2020-12) of namespaces. A secret that was not written in the same request is checked for presence only:
 * else whoever may write schemas could ask them about it, one pattern after the other.
 */
export function createSchemas() {
  const patterns = createPatternEngine();
  let made: ReturnType<typeof createValidators> | undefined;
  /** Made by the first schema: a server without one does without their memory. */
  const validators = () => (made ??= createValidators(patterns));
  const cache = new Map<string, Compiled>();

  const compile = (schema: JsonObject): Compiled => {
    const key = createHash('sha256').update(canonicalJsonBytes(schema)).digest('base64url');
    const known = cache.get(key);
    if (known) {
      cache.delete(key);
      cache.set(key, known);
      return known;
    }
    const valueSchemas = valueSchemasOf(schema, patterns.compile);
    const size = expandedSize(schema);
    // One function judges every value by the schemas that apply to it: {"<number of the schema>": [values]}.
    const wrapper = {
      ...(schema['$defs'] === undefined ? {} : { $defs: schema['$defs'] }),
      properties: Object.fromEntries(valueSchemas.list.map((one, index) => [index, { items: one }])),
    };
    try {
      const weight = size === 'recursive' ? Number.POSITIVE_INFINITY : size;
      const compiled: Compiled = { schema, valueSchemas, size: weight, validate: validators().ajv.compile(wrapper) };
      cache.set(key, compiled);
      for (const oldest of cache.keys()) {
        if (cache.size <= maxCached) break;
        cache.delete(oldest);
      }
      return compiled;
    } finally {
      validators().ajv.removeSchema(wrapper);
    }
  };

  return {
    /** Refuses, with 400, a schema that could not be used or could take long. */
    assertUsable(schema: JsonObject): void {
      assertSchema(schema, patterns.compile);
      const { meta } = validators();
      if (meta.validateSchema(schema) !== true) {
        const errors = (meta.errors ?? []).slice(0, 20).map((error) => ({
          field: `schema${error.instancePath}`,
          rule: error.message ?? 'is not valid',
        }));
        throw invalidSchema(errors);
      }
      try {
        compile(schema);
      } catch (error) {
        throw invalidSchema([
          { field: 'schema', rule: error instanceof Error ? error.message.slice(0, 300) : 'cannot be used' },
        ]);
      }
    },

    /** What of a configuration does not fit, by JSON pointer; never with a value. */
    check(given: JsonObject | undefined, subject: Subject): FieldError[] {
      if (given === undefined) return [];
      const { schema, valueSchemas, validate, size } = compile(given);
      let nodes = subject.size;
      for (const { value } of subject.values()) nodes += countNodes(value);
      if (nodes * size > maxWork) return [tooMuch];
      const verdicts = (checks: readonly CheckedValue[]): Map<string, FieldError[]> => {
        const instance: Record<string, JsonValue[]> = {};
        const order = new Map<number, CheckedValue[]>();
        for (const one of checks) {
          const list = order.get(one.schema) ?? [];
          list.push(one);
          order.set(one.schema, list);
          (instance[one.schema] ??= []).push(one.value);
        }
        const failed = new Map<string, FieldError[]>();
        if (validate(instance)) return failed;
        for (const error of validate.errors ?? []) {
          const [, number, index, ...rest] = error.instancePath.split('/');
          const one = order.get(Number(number))?.[Number(index)];
          if (!one) continue;
          const id = `${one.schema} ${one.key}`;
          const list = failed.get(id) ?? [];
          if (list.length < 20) list.push(errorOf(one, rest, error));
          failed.set(id, list);
        }
        return failed;
      };
      try {
        return patterns.withBudget(() => judge(schema, valueSchemas, subject, verdicts)).slice(0, 50);
      } catch (error) {
        if (error instanceof PatternBudgetSpent) return [tooMuch];
        throw error;
      }
    },
  };
}

/** One that judges values, and one that judges schemas. */
function createValidators(patterns: PatternEngine) {
  const ajv = new Ajv2020({
    strictSchema: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    allErrors: true,
    addUsedSchema: false,
    validateSchema: false,
    inlineRefs: false,
    logger: false,
    formats: { ...formats },
    code: { regExp: patterns.forAjv },
  });
  // The one of Ajv compares each item with each other one.
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    errors: false,
    validate: (wanted: boolean, items: JsonValue[]) =>
      !wanted || new Set(items.map((item) => canonicalJson(item as never))).size === items.length,
  });
  return { ajv, meta: new Ajv2020({ logger: false }) };
}

/** What {@link createSchemas} gives. */
export type Schemas = ReturnType<typeof createSchemas>;

const tooMuch: FieldError = {
  field: '',
  rule: 'takes too long to check against the schema',
  fix: 'shorten the values, or simplify the schema',
};

/** Inside a secret, the names of members are secret as well. */
function errorOf(one: CheckedValue, rest: readonly string[], error: ErrorObject): FieldError {
  if (one.isName)
    return { field: '', rule: `has the key ${pointerToken(one.key)}, which ${error.message ?? 'is refused'}` };
  const inner = one.isSecret || rest.length === 0 ? '' : `/${rest.join('/')}`;
  return { field: `/${pointerToken(one.key)}${inner}`, rule: error.message ?? 'does not fit' };
}

function countNodes(value: JsonValue): number {
  if (typeof value === 'string') return 1 + value.length / 16;
  if (Array.isArray(value)) return value.reduce<number>((sum, one) => sum + countNodes(one as JsonValue), 1);
  if (!isJsonObject(value)) return 1;
  return Object.values(value).reduce<number>((sum, one) => sum + countNodes(one), 1);
}
