import { ConfigurationError, isVisibleSecret } from '@gatehouse/configuration';
import { parseConfiguration } from '@gatehouse/configuration/formats';
import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import type { Cli } from '../cli.ts';
import { usageError } from '../errors.ts';
import { oneLine } from '../values.ts';
import type { Change } from './change.ts';

/** Longest secret that `set` takes, bytes: keys and certificates in PEM fit. */
const maxSecretBytes = 64 * 1024;

/** What `set` was told. */
export interface Assignments {
  /** `KEY=VALUE`: texts. */
  readonly plain: readonly string[];
  /** `KEY=JSON`. */
  readonly json: readonly string[];
  /** `KEY`, asked for, or `KEY=VALUE`. */
  readonly secret: readonly string[];
  /** `KEY=FILE`, `-` is stdin. */
  readonly secretFile: readonly string[];
}

/** The change that the arguments of `set` make; `own` says which keys are secrets already and stay so. */
export async function readAssignments(cli: Cli, own: JsonObject, assignments: Assignments): Promise<Change> {
  const set = new Map<string, JsonValue>();
  const put = (key: string, value: JsonValue) => {
    if (set.has(key)) throw usageError(`${oneLine(key)} is set twice.`, 'name it once');
    set.set(key, value);
  };
  const isSecret = (key: string) => Object.hasOwn(own, key) && isVisibleSecret(own[key]);

  for (const [key, value] of assignments.plain.map((one) => split(one, 'KEY=VALUE'))) {
    if (isSecret(key)) warnArgument(cli, key);
    const before = Object.hasOwn(own, key) ? own[key] : undefined;
    if (typeof before === 'number' || typeof before === 'boolean') {
      cli.output.warning(
        `${oneLine(key)} was a ${typeof before} and becomes a text; --json-value ${oneLine(key)}=… keeps it one`,
      );
    }
    put(key, isSecret(key) ? { $secret: value } : value);
  }
  for (const [key, text] of assignments.json.map((one) => split(one, '--json-value KEY=JSON'))) {
    const value = readJson(key, text);
    const isMarker =
      typeof value === 'object' && value !== null && Object.keys(value).some((name) => name.startsWith('$'));
    put(key, isSecret(key) && !isMarker ? { $secret: value } : value);
  }
  for (const [key, file] of assignments.secretFile.map((one) => split(one, '--secret-file KEY=FILE'))) {
    const question = `Value of ${oneLine(key)}`;
    const secret = { file, question, option: '--secret-file', what: 'secret', maxBytes: maxSecretBytes };
    put(key, { $secret: await cli.terminal.readSecret(secret) });
  }
  for (const one of assignments.secret) {
    const at = one.indexOf('=');
    if (at > 0) {
      warnArgument(cli, one.slice(0, at));
      put(one.slice(0, at), { $secret: one.slice(at + 1) });
    } else {
      const question = `Value of ${oneLine(one)}`;
      if (!cli.terminal.isInteractive()) {
        const fix = `give it by --secret-file ${oneLine(one)}=<file>, or on stdin by --secret-file ${oneLine(one)}=-`;
        throw usageError('There is no terminal to ask for the secret.', fix);
      }
      const secret = { file: undefined, question, option: '--secret-file', what: 'secret', twice: true };
      put(one, { $secret: await cli.terminal.readSecret(secret) });
    }
  }
  if (set.size === 0) throw usageError('There is nothing to set.', 'name KEY=VALUE, or --secret KEY');
  return { set: Object.fromEntries(set), unset: [] };
}

function warnArgument(cli: Cli, key: string): void {
  cli.output.warning(
    `the value of the secret ${oneLine(key)} stood on the command line, where everyone on this machine can read it; use --secret ${oneLine(key)}, and change the secret if others are here`,
  );
}

function split(text: string, form: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw usageError(`"${oneLine(at === -1 ? text : '=…')}" is not ${form}.`, `write it as ${form}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** A value as JSON, by the same rules as in a file. */
function readJson(key: string, text: string): JsonValue {
  try {
    return parseConfiguration('json', `{${JSON.stringify(key)}:${text}\n}`).configuration[key] ?? null;
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const { rule = 'is not JSON', fix = `such as --json-value ${key}=8080` } = error.problems[0] ?? {};
    throw usageError(`--json-value: ${oneLine(key)} ${rule}.`, fix);
  }
}
