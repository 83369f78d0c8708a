/**
 * What a program expects of its configuration: a Standard Schema (https://standardschema.dev: Zod, Valibot, ArkType …),
 * or a JSON Schema, which TypeBox makes too. For the latter the package `typebox` must be installed.
 */
import { GatehouseError } from '../errors.ts';
import type { ConfigurationVersion } from './configuration-version.ts';

/** The part of Standard Schema, version 1, that is used here. */
export interface StandardSchema<T> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
  };
}

/** What a Standard Schema says about a value. */
export type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** One thing that is wrong. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A JSON Schema (draft 2020-12 and before) as a value. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** Gives the values as the program wants them, or throws an error whose message names the keys that are wrong. */
export type ReadValues<T> = (values: ConfigurationVersion['values']) => Promise<T>;

const maxIssues = 10;

/** Makes the reader of a schema; without one every set of values passes. */
export function createValuesReader<T>(schema: StandardSchema<T> | JsonSchema | undefined): ReadValues<T> {
  if (schema === undefined) return async (values) => values as unknown as T;
  let loaded: Promise<StandardSchema<T>> | undefined;
  return async (values) => {
    loaded ??= isStandard<T>(schema) ? Promise.resolve(schema) : standardOf<T>(schema);
    const result = await (await loaded)['~standard'].validate(values);
    if (result.issues === undefined) return result.value;
    throw new GatehouseError('version_refused', `The values do not fit the schema: ${textOf(result.issues)}`);
  };
}

/** Only programs that use a JSON Schema load what checks it. */
async function standardOf<T>(schema: JsonSchema): Promise<StandardSchema<T>> {
  let module: typeof import('../json-schema.ts');
  try {
    module = await import('../json-schema.ts');
  } catch (cause) {
    throw new GatehouseError('configuration_invalid', 'A JSON Schema needs typebox. Run: npm install typebox', {
      cause,
    });
  }
  return module.jsonSchema(schema) as unknown as StandardSchema<T>;
}

function isStandard<T>(schema: StandardSchema<T> | JsonSchema): schema is StandardSchema<T> {
  return '~standard' in schema;
}

/** Paths and rules; the message of a schema tells what is expected, not what was there. */
function textOf(issues: readonly StandardIssue[]): string {
  const told = issues.slice(0, maxIssues).map(({ message, path = [] }) => {
    const keys = path.map((part) => String(typeof part === 'object' ? part.key : part));
    return keys.length === 0 ? message : `${keys.join('.')} ${message}`;
  });
  const left = issues.length - told.length;
  return left > 0 ? `${told.join('; ')}; and ${left} more` : told.join('; ');
}
