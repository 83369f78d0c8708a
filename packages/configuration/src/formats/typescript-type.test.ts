import assert from 'node:assert/strict';
import { stripTypeScriptTypes } from 'node:module';
import { test } from 'node:test';
import type { JsonObject } from '@gatehouse/contracts';
import { typescriptName, typescriptType } from './typescript-type.ts';

const typeOf = (more: { schema?: JsonObject; configuration?: JsonObject }) =>
  typescriptType({ name: 'C', about: '', schema: more.schema, configuration: more.configuration ?? {} });

test('the type of values', () => {
  const configuration = {
    HOST: 'a',
    PORT: 1,
    DEBUG: true,
    NONE: null,
    'a-b': { c: [1, 'x'], d: [] },
    PASS: { $secret: { fingerprint: 'abcdefghijklmnop' } },
  };
  assert.equal(
    typeOf({ configuration }),
    `export interface C {
  readonly HOST: string;
  readonly PORT: number;
  readonly DEBUG: boolean;
  readonly NONE: null;
  readonly "a-b": {
    readonly c: readonly (number | string)[];
    readonly d: readonly unknown[];
  };
  /** A secret, taken for a text; a JSON Schema of the namespace can say otherwise. */
  readonly PASS: string;
}
`,
  );
});

test('the type of a schema', () => {
  const schema = {
    type: 'object',
    required: ['HOST', 'LEVEL'],
    properties: {
      HOST: { type: 'string', description: 'where it is' },
      PORT: { type: ['integer', 'null'] },
      LEVEL: { enum: ['debug', 'info', 1] },
      POOL: { $ref: '#/$defs/pool' },
      PAIR: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'number' }], items: false },
      LABELS: { type: 'object', additionalProperties: { type: 'string' } },
      EITHER: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'number' } }] },
      ANY: true,
    },
    $defs: { pool: { type: 'object', properties: { min: { type: 'number' } }, additionalProperties: false } },
  };
  assert.equal(
    typeOf({ schema }),
    `export interface C {
  /** where it is */
  readonly HOST: string;
  readonly PORT?: number | null;
  readonly LEVEL: "debug" | "info" | 1;
  readonly POOL?: {
    readonly min?: number;
  };
  readonly PAIR?: readonly [string, number];
  readonly LABELS?: {
    readonly [key: string]: string;
  };
  readonly EITHER?: string | readonly number[];
  readonly ANY?: unknown;
}
`,
  );
});

test('nobody writes code into it, and a schema that refers to itself ends', () => {
  const evil = '*/ process.exit(1); /*\u2028\n" }';
  const schema = {
    properties: { [evil]: { description: evil, enum: [evil] }, SELF: { $ref: '#' } },
    description: evil,
  };
  const source = typescriptType({ name: 'C', about: evil, schema, configuration: {} });
  // Nothing is left of it once the types are gone: no statement escaped.
  assert.equal(
    stripTypeScriptTypes(source)
      .replaceAll(/\/\*\*[^]*?\*\//g, '')
      .trim(),
    '',
  );
});

test('references that multiply end too', () => {
  const $defs = Object.fromEntries(
    Array.from({ length: 14 }, (_, level) => [
      `d${level}`,
      { properties: Object.fromEntries('abcdefgh'.split('').map((name) => [name, { $ref: `#/$defs/d${level + 1}` }])) },
    ]),
  );
  assert.ok(typeOf({ schema: { properties: { x: { $ref: '#/$defs/d0' } }, $defs } }).length < 1_000_000);
});

test('the name of the type', () => {
  assert.equal(typescriptName('billing', 'default'), 'BillingConfiguration');
  assert.equal(typescriptName('bill-ing', 'eu_west'), 'BillIngEuWestConfiguration');
  assert.equal(typescriptName('3scale', 'default'), '_3scaleConfiguration');
});
