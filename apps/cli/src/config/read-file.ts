import { readFile, stat } from 'node:fs/promises';
import { ConfigurationError } from '@gatehouse/configuration';
import {
  type ConfigurationFormat,
  configurationFormats,
  formatOfFile,
  type ParsedConfiguration,
  parseConfiguration,
} from '@gatehouse/configuration/formats';
import type { Cli } from '../cli.ts';
import { CliError, usageError } from '../errors.ts';

/** Largest file that is read, bytes: a little more than the parser takes, which says so itself. */
const maxFileBytes = 8 * 1024 * 1024;

/** Reads a configuration from a file, or from stdin by `-`; warnings go to stderr. */
export async function readConfigurationFile(
  cli: Cli,
  file: string,
  format: ConfigurationFormat | undefined,
): Promise<ParsedConfiguration> {
  const known = format ?? formatOfFile(file);
  if (known === undefined) {
    throw usageError(
      `The name of ${file === '-' ? 'stdin' : file} does not tell its format.`,
      `add --format ${configurationFormats.join('|')}`,
    );
  }
  const text = file === '-' ? await cli.terminal.readText(maxFileBytes) : await readText(file);
  const name = file === '-' ? 'stdin' : file;
  const parsed = parse(known, text, name);
  for (const { line, key, text: warning } of parsed.warnings) cli.output.warning(`${name}:${line}: ${key} ${warning}`);
  return parsed;
}

/** Parses; every problem is a line of the error: file, line, key, rule, fix. */
export function parse(format: ConfigurationFormat, text: string, name: string): ParsedConfiguration {
  try {
    return parseConfiguration(format, text);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const lines = error.problems.map(({ line, field, rule, fix }) => {
      const where = line === undefined ? name : `${name}:${line}`;
      return `${where}: ${field === '' ? '' : `${field} `}${rule}${fix === undefined ? '' : `; ${fix}`}`;
    });
    const errors = error.problems.map((problem) => ({ ...problem }));
    throw new CliError('cli.configuration', lines.join('\n'), { problem: { errors } });
  }
}

/** A file as text; it has to be UTF-8. */
export async function readText(file: string): Promise<string> {
  try {
    if ((await stat(file)).size > maxFileBytes) {
      throw new CliError('cli.file', `${file} is larger than ${maxFileBytes / 1024 / 1024} MiB.`, {
        fix: 'check that it is the right file',
      });
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
  } catch (error) {
    if (error instanceof CliError) throw error;
    if (error instanceof TypeError) {
      throw new CliError('cli.file', `${file} is not UTF-8.`, { fix: 'convert it first, such as with iconv' });
    }
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError('cli.file', `${file} ${code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`}.`, {
      fix: 'check the path and its permissions',
    });
  }
}
