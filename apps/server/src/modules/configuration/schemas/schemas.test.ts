// oxlint-disable no-thenable -- `then` is a keyword of JSON Schema
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { isAppError } from '../../../kernel/index.ts';
import { expandedSize } from './schema-rules.ts';
import { createSchemas } from './schemas.ts';

const schemas = createSchemas();
const plain = (values: Record<string, JsonValue>) =>
  new Map(Object.entries(values).map(([key, value]) => [key, { value }]));
const hidden = (subject: ReturnType<typeof plain>, ...keys: string[]) =>
  new Map<string, { value: JsonValue; hidden?: boolean }>([
    ...subject,
    ...keys.map((key): [string, { value: JsonValue; hidden: boolean }] => [key, { value: null, hidden: true }]),
  ]);
const refusal = (schema: JsonObject): string => {
  try {
    schemas.assertUsable(schema);
  } catch (error) {
    if (isAppError(error, 'kernel.invalid_request')) return `${error.errors?.[0]?.field} ${error.errors?.[0]?.rule}`;
    throw error;
  }
  return '';
};

describe('schemas', () => {
  it('name what does not fit by JSON pointer, without the value', () => {
    const schema: JsonObject = {
      type: 'object',
      required: ['HOST'],
      properties: {
        HOST: true,
        PORT: { type: 'integer', minimum: 1 },
        'a/b~c': { type: 'object', properties: { list: { items: { enum: ['x', 'y'] } } } },
        WHEN: { format: 'date-time' },
      },
      additionalProperties: false,
    };
    schemas.assertUsable(schema);
    const errors = schemas.check(
      schema,
      plain({ PORT: 'canary-value', 'a/b~c': { list: ['x', 'canary-value'] }, OTHER: 'canary-value', WHEN: 'canary' }),
    );
    assert.deepEqual(errors.map((error) => error.field).sort(), [
      '/HOST',
      '/OTHER',
      '/PORT',
      '/WHEN',
      '/a~1b~0c/list/1',
    ]);
    assert.equal(JSON.stringify(errors).includes('canary'), false);
    assert.deepEqual(schemas.check(schema, plain({ HOST: 'a', PORT: 1, WHEN: '2026-01-01T00:00:00Z' })), []);
  });

  it('what could hang, reach out or is misspelled is refused when the schema is set', () => {
    const cases: [JsonObject, RegExp][] = [
      [{ properties: { A: { pattern: '(?=a)b' } } }, /pattern that is not accepted/],
      [{ patternProperties: { '(a)\\1': true } }, /pattern that is not accepted/],
      [{ properties: { A: { pattern: 'a'.repeat(501) } } }, /more than 500 characters/],
      [{ properties: { A: { pattern: '((a{30}){30}){30}' } } }, /pattern/],
      [{ $ref: 'https://elsewhere.example/schema' }, /\$ref does not name a definition/],
      [{ $ref: '#/$defs/missing' }, /\$ref does not name a definition/],
      [
        { $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: { $ref: '#/$defs/a' } } },
        /contains itself/,
      ],
      [{ $id: 'https://elsewhere.example/' }, /not a keyword that is known/],
      [{ $schema: 'http://json-schema.org/draft-07/schema#' }, /another dialect/],
      [{ propertys: {} }, /not a keyword that is known/],
      [{ properties: { A: { format: 'regex' } } }, /format that is not checked/],
      [{ properties: { A: { type: 'strnig' } } }, /must be/],
      [{ required: 'A' }, /must be array/],
      [{ properties: JSON.parse('{"__proto__": {"type": "string"}}') as JsonObject }, /__proto__/],
      [{ enum: Array.from({ length: 9_000 }, (_, index) => `value ${index}`) }, /bytes of JSON/],
    ];
    for (const [schema, expected] of cases)
      assert.match(refusal(schema), expected, JSON.stringify(schema).slice(0, 100));
    // Doubling at each level: small on paper, a thousand million when written out.
    const $defs: Record<string, JsonObject> = { d0: { type: 'string' } };
    for (let level = 1; level <= 30; level += 1) {
      $defs[`d${level}`] = { anyOf: [{ $ref: `#/$defs/d${level - 1}` }, { $ref: `#/$defs/d${level - 1}` }] };
    }
    assert.match(refusal({ $ref: '#/$defs/d30', $defs }), /written out/);
    assert.equal(expandedSize({ $ref: '#/$defs/d0', $defs: { d0: true } }) !== 'recursive', true);
  });

  it('no pattern and no value keeps the server busy', () => {
    const evil = ['^(a+)+$', '(a|a)*b', '(.*)(.*)(.*)(.*)x', '^(([a-z])+.)+[A-Z]([a-z])+$'];
    const schema: JsonObject = { additionalProperties: { allOf: evil.map((pattern) => ({ pattern })) } };
    schemas.assertUsable(schema);
    const cpu = process.cpuUsage();
    schemas.check(schema, plain({ A: `${'a'.repeat(50_000)}!` }));
    schemas.check(schema, plain(Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`K${n}`, 'a'.repeat(900)]))));
    schemas.check(
      { additionalProperties: { uniqueItems: true } },
      plain({ A: Array.from({ length: 60_000 }, () => ({})) }),
    );
    const { user } = process.cpuUsage(cpu);
    assert.ok(user < 10_000_000, `${user} µs of CPU: a pattern that hangs takes hours`);
    const big = { anyOf: Array.from({ length: 300 }, () => ({ additionalProperties: { items: { type: 'number' } } })) };
    schemas.assertUsable(big);
    const [error] = schemas.check(big, plain({ A: Array.from({ length: 100_000 }, () => 0) }));
    assert.match(error?.rule ?? '', /takes too long/);
  });

  it('a hidden secret is there, and that is all that counts', () => {
    const required: JsonObject = { required: ['PASS'], properties: { PASS: { type: 'string', minLength: 100 } } };
    assert.deepEqual(schemas.check(required, hidden(plain({}), 'PASS')), []);
    assert.equal(schemas.check(required, plain({})).length, 1);
    assert.deepEqual(schemas.check({ properties: { PASS: false } }, hidden(plain({}), 'PASS')).length, 1);
    assert.deepEqual(schemas.check({ not: { properties: { PASS: { const: 1 } } } }, hidden(plain({}), 'PASS')), []);
    assert.equal(schemas.check({ not: { required: ['PASS'] } }, hidden(plain({}), 'PASS')).length, 1);
    const dependent: JsonObject = {
      if: { properties: { PASS: { pattern: '^a' } } },
      then: { required: ['A'] },
      else: { required: ['B'] },
    };
    assert.deepEqual(
      schemas.check(dependent, hidden(plain({}), 'PASS')),
      [{ field: '/A', rule: 'is required' }],
      'whatever it is, something is missing',
    );
    assert.deepEqual(schemas.check(dependent, hidden(plain({ A: 1 }), 'PASS')), []);
    assert.deepEqual(schemas.check({ const: { PASS: 'x' } }, hidden(plain({}), 'PASS')), []);
  });

  const key = fc.constantFrom('A', 'B', 'PASS');
  const scalar = fc.oneof(fc.constantFrom<JsonValue>('a', 'b', 'secret', '', 1, 2, true, null), fc.integer());
  const leaf: fc.Arbitrary<JsonValue> = fc.oneof(
    fc.boolean(),
    fc.record({ const: scalar }),
    fc.record({ enum: fc.array(scalar, { minLength: 1, maxLength: 3 }).map((list) => [...new Set(list)]) }),
    fc.record({ pattern: fc.constantFrom('^a', 'secret', '^$') }),
    fc.record({ type: fc.constantFrom('string', 'number', 'boolean', 'null') }),
    fc.record({ minLength: fc.nat({ max: 8 }) }),
    fc.record({ not: fc.record({ type: fc.constantFrom('string', 'number') }) }),
  );
  const flat = {
    properties: fc.dictionary(key, leaf, { maxKeys: 3 }),
    patternProperties: fc.dictionary(fc.constantFrom('^A', 'S$'), leaf, { maxKeys: 2 }),
    additionalProperties: leaf,
    propertyNames: fc.record({ maxLength: fc.constantFrom(1, 4) }),
    required: fc.uniqueArray(key, { maxLength: 2 }),
    minProperties: fc.nat({ max: 3 }),
    dependentRequired: fc.dictionary(key, fc.uniqueArray(key, { maxLength: 2 }), { maxKeys: 2 }),
    $ref: fc.constant('#/$defs/shared'),
  };
  const above = (inner: fc.Arbitrary<JsonObject>) =>
    fc.record(
      {
        ...flat,
        dependentSchemas: fc.dictionary(key, inner, { maxKeys: 1 }),
        allOf: fc.array(inner, { minLength: 1, maxLength: 2 }),
        anyOf: fc.array(inner, { minLength: 1, maxLength: 2 }),
        oneOf: fc.array(inner, { minLength: 1, maxLength: 2 }),
        not: inner,
        if: inner,
        then: inner,
        else: inner,
      },
      { requiredKeys: [] },
    ) as fc.Arbitrary<JsonObject>;
  const anySchema = above(fc.record(flat, { requiredKeys: [] }) as fc.Arbitrary<JsonObject>);
  const rooted = fc.tuple(anySchema, fc.dictionary(key, leaf)).map(
    ([schema, properties]): JsonObject => ({
      ...schema,
      $defs: { shared: { properties } },
    }),
  );

  it('with nothing hidden it says what Ajv says', () => {
    fc.assert(
      fc.property(rooted, fc.dictionary(key, scalar), (schema, values) => {
        const ajv = new Ajv2020({ strict: false, logger: false });
        const expected = ajv.validate(schema, values);
        assert.equal(schemas.check(schema, plain(values)).length === 0, expected);
      }),
      { numRuns: 60 },
    );
  });

  it('with a secret hidden, what is refused is refused for every value of it', () => {
    fc.assert(
      fc.property(
        rooted,
        fc.dictionary(fc.constantFrom('A', 'B'), scalar),
        fc.array(scalar, { minLength: 3 }),
        (schema, values, secrets) => {
          if (schemas.check(schema, hidden(plain(values), 'PASS')).length === 0) return;
          const ajv = new Ajv2020({ strict: false, logger: false });
          for (const secret of secrets) assert.equal(ajv.validate(schema, { ...values, PASS: secret }), false);
        },
      ),
      { numRuns: 60 },
    );
  });
});
