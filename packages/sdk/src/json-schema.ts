/**
 * `@gatehouse/sdk/json-schema`: a JSON Schema as the schema of `createConfiguration`, typed. Needs `typebox`.
 */
import { Compile, type XSchema, type XStatic } from 'typebox/schema';
import type { StandardIssue, StandardSchema } from './configuration/values-schema.ts';

/**
 * A JSON Schema, written by hand or by TypeBox, as a Standard Schema that carries the type of the values.
 *
 * @example
 * const configuration = createConfiguration({
 *   schema: jsonSchema(Type.Object({ DB_HOST: Type.String(), DB_PORT: Type.Integer() })),
 *   ...
 * });
 * configuration.values.DB_PORT; // number
 */
export function jsonSchema<const S extends XSchema>(schema: S): StandardSchema<XStatic<S>> {
  const validator = Compile(schema);
  return {
    '~standard': {
      version: 1,
      vendor: 'gatehouse',
      validate(value) {
        const [isValid, errors] = validator.Errors(value);
        if (isValid) return { value: value as XStatic<S> };
        // A property that may not be there is told twice: by the name of its object, and, here, by its own.
        const issues = errors.filter(({ keyword }) => keyword !== 'additionalProperties').map(issueOf);
        return { issues: issues.length > 0 ? issues : errors.map(issueOf) };
      },
    },
  };
}

/** A JSON Pointer (RFC 6901) as the path, and the rule. */
function issueOf(error: { keyword: string; instancePath: string; message: string }): StandardIssue {
  const { keyword, instancePath } = error;
  const message = keyword === 'boolean' ? 'must not be there' : error.message;
  const path = instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  return { message, path };
}
