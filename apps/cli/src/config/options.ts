import { type Command, InvalidArgumentError, Option } from 'commander';
import { collect } from '../values.ts';

// What commands declare at every start: nothing here loads schemas, YAML or cryptography.

/** The argument of every command about a namespace. */
export const serviceArgument = '<service>';
/** What {@link serviceArgument} is. */
export const serviceDescription = 'its name, or <organization>.<service>';

/** A format of files; the package `configuration` has the list. */
export type Format = 'env' | 'json' | 'yaml' | 'properties';

/** `--format`. */
export function formatOption(description: string): Option {
  return new Option('--format <format>', description).choices(['env', 'json', 'yaml', 'properties']);
}

/** Adds `--namespace`. */
export function withNamespace(command: Command): Command {
  return command.option('-n, --namespace <name>', 'the namespace', 'default');
}

/** What a publication can say about itself. */
export interface PublishOptions {
  message?: string;
  label?: string[];
  at?: string;
  propose?: boolean;
}

/** Adds `--message`, `--label`, `--at` and `--propose`. */
export function withPublication(command: Command): Command {
  return command
    .option('-m, --message <text>', 'why, for the history')
    .option('--label <name=value>', 'a label of the version; may be repeated', collect)
    .option('--at <time>', 'publish it at that time, such as 2027-01-31T06:00:00Z')
    .option('--propose', 'do not publish it: another person does');
}

/** Adds `--secret` and `--plain` for the keys of a file. */
export function withSecrecy(command: Command): Command {
  return command
    .option('--secret <keys>', 'make these keys secrets, * stands for any characters; may be repeated', collect)
    .option('--plain <keys>', 'these are no secrets, although they look like some; may be repeated', collect);
}

/** The number of a version. */
export function versionNumber(value: string): number {
  if (!/^[1-9]\d{0,8}$/.test(value)) throw new InvalidArgumentError('It must be the number of a version.');
  return Number(value);
}

/** Adds the settings of a namespace. */
export function withSettings(command: Command): Command {
  return command
    .option('--extends <names>', 'what it inherits from, the strongest last: base, or platform/common', collect)
    .option('--shared', 'namespaces of other services may extend it')
    .option('--no-shared', 'they may not')
    .option('--review-required', 'a second person publishes what one has proposed')
    .option('--no-review-required', 'whoever may publish does')
    .option('--schema <file>', 'JSON Schema that every version has to fit; none takes it away')
    .option('--label <name=value>', 'a label of the namespace; may be repeated', collect);
}
