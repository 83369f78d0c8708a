import type { JsonObject } from '@gatehouse/contracts';
import { CliError, usageError } from '../errors.ts';
import { readText } from './read-file.ts';

/** Settings of a namespace as options say them. */
export interface SettingsOptions {
  extends?: string[];
  shared?: boolean;
  reviewRequired?: boolean;
  schema?: string;
  label?: string[];
}

/** The members of a request that the options make; what was not said is not sent. */
export async function settingsOf(options: SettingsOptions): Promise<JsonObject> {
  const { extends: bases, shared, reviewRequired, schema, label } = options;
  return {
    extends: bases?.flatMap((one) => one.split(',')).filter((one) => one !== '' && one !== 'none'),
    shared,
    review_required: reviewRequired,
    schema: schema === undefined ? undefined : schema === 'none' ? null : await readSchema(schema),
    labels: label && Object.fromEntries(label.filter((one) => one !== 'none').map(nameAndValue)),
  };
}

function nameAndValue(label: string): [string, string] {
  const at = label.indexOf('=');
  if (at < 1) throw usageError(`--label ${label} is not name=value.`, 'write it as --label team=billing');
  return [label.slice(0, at), label.slice(at + 1)];
}

async function readSchema(file: string): Promise<JsonObject> {
  try {
    const schema: unknown = JSON.parse(await readText(file));
    if (typeof schema === 'object' && schema !== null && !Array.isArray(schema)) return schema as JsonObject;
  } catch (error) {
    if (error instanceof CliError) throw error;
  }
  throw new CliError('cli.file', `${file} is not a JSON Schema: it is no JSON object.`, {
    fix: 'write a schema such as {"type": "object", "required": ["DB_HOST"]}',
  });
}
