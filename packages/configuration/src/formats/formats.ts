import type { JsonObject } from '@gatehouse/contracts';
import { ConfigurationError, type ConfigurationProblem } from '../errors.ts';
import { parseWritten } from '../values.ts';
import { readDotenv, writeDotenv } from './dotenv-format.ts';
import { createEntries, type Entries, maxTextBytes, type ParsedConfiguration, printable } from './entries.ts';
import { readJson, writeJson } from './json-format.ts';
import { readProperties, writeProperties } from './properties-format.ts';
import { readYaml, writeYaml } from './yaml-format.ts';

/** The file formats that a configuration can be written in and read from without loss. */
export const configurationFormats = ['env', 'json', 'yaml', 'properties'] as const;
/** One of {@link configurationFormats}. */
export type ConfigurationFormat = (typeof configurationFormats)[number];

/** A configuration as a text. */
export interface ConfigurationText {
  readonly text: string;
  /** Keys that stand in comments, because the format cannot say them: other programs do not see them. */
  readonly hidden: readonly string[];
}

/** The format that a file name stands for: `.env`, `.env.local`, `app.env`, `.json`, `.yaml`, `.yml`, `.properties`. */
export function formatOfFile(path: string): ConfigurationFormat | undefined {
  const name = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1).toLowerCase();
  if (name === '.env' || name.startsWith('.env.') || name.endsWith('.env')) return 'env';
  if (name.endsWith('.json')) return 'json';
  if (name.endsWith('.yaml') || name.endsWith('.yml')) return 'yaml';
  return name.endsWith('.properties') ? 'properties' : undefined;
}

const readers: Readonly<Record<ConfigurationFormat, (text: string, entries: Entries) => void>> = {
  env: readDotenv,
  json: readJson,
  yaml: readYaml,
  properties: readProperties,
};

/**
 * Reads a configuration as it is written; throws {@link ConfigurationError} with every problem, its line, rule and fix.
 * For every configuration x of the model, what {@link formatConfiguration} makes of x reads as x.
 */
export function parseConfiguration(format: ConfigurationFormat, text: string): ParsedConfiguration {
  const refuse = (rule: string, fix: string): never => {
    throw new ConfigurationError([{ field: '', rule, fix }]);
  };
  if (text.length > maxTextBytes || Buffer.byteLength(text) > maxTextBytes) {
    refuse(`is larger than ${maxTextBytes / 1024 / 1024} MiB`, 'check that it is the right file');
  }
  if (!text.isWellFormed()) refuse('has half of a surrogate pair', 'save it as UTF-8');
  const entries = createEntries();
  readers[format](text.replace(/^\ufeff/, ''), entries);
  if (entries.problems.length > 0) throw new ConfigurationError(entries.problems);
  const parsed = entries.finish();
  assertWritten(parsed);
  return parsed;
}

/** The rules of the model, each named with the line it is broken in. */
function assertWritten({ configuration, lines }: ParsedConfiguration): void {
  try {
    parseWritten(configuration);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const problems = Object.entries(configuration).flatMap(([key, value]) => problemsOf(key, value, lines.get(key)));
    throw problems.length > 0 ? new ConfigurationError(problems.slice(0, 50)) : error;
  }
}

function problemsOf(key: string, value: JsonObject[string], line: number | undefined): ConfigurationProblem[] {
  try {
    parseWritten(Object.fromEntries([[key, value]]));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map((problem) => ({
      ...problem,
      field: problem.field.replace(/^configuration\./, '') || printable(key),
      ...(line === undefined ? {} : { line }),
    }));
  }
}

const writers: Readonly<Record<ConfigurationFormat, (configuration: JsonObject) => ConfigurationText>> = {
  env: writeDotenv,
  json: (configuration) => ({ text: writeJson(configuration), hidden: [] }),
  yaml: (configuration) => ({ text: writeYaml(configuration), hidden: [] }),
  properties: writeProperties,
};

/** Writes a configuration as a text of the format. Secrets are written as they are given: masked, or revealed. */
export function formatConfiguration(format: ConfigurationFormat, configuration: JsonObject): ConfigurationText {
  return writers[format](configuration);
}
