import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription, versionNumber, withNamespace } from '../config/options.ts';
import { CliError } from '../errors.ts';
import { text } from '../values.ts';

interface Options {
  namespace: string;
  of?: number;
  own?: boolean;
}

/** `gatehouse config get`: all values, or the value of one key as it is. */
export function configGetCommand(parent: Command, cli: Cli): void {
  withNamespace(
    parent
      .command('get')
      .description('what instances get: all values, or one by itself; secrets by fingerprint')
      .argument(serviceArgument, serviceDescription)
      .argument('[key]', 'print the value of this key and nothing else')
      .option('--of <version>', 'of this version; the newest when absent', versionNumber)
      .option('--own', 'what its author wrote: without what is inherited, references as written'),
  ).action(async (service: string, key: string | undefined, options: Options) => {
    const { remoteOf, targetOf, valueText } = await import('../config/index.ts');
    const remote = await remoteOf(cli, targetOf(service, options.namespace));
    const present = await remote.read(options.of);
    const shown = options.own === true ? present.own : present.effective;
    if (key !== undefined) {
      printOne(cli, { key, shown, version: present.version, args: remote.target.args });
      return;
    }
    if (cli.output.isJson()) {
      cli.output.json(present.answer);
      return;
    }
    cli.output.table(
      Object.entries(shown).map(([name, value]) => ({ name, value })),
      [
        { heading: 'key', value: ({ name }) => name },
        { heading: 'value', value: ({ value }) => valueText(value) },
        { heading: 'from', value: ({ name }) => (options.own === true ? '' : sourceText(present.sources[name])) },
      ],
      `${remote.target.label} has no values${present.version === 0 ? ' and no version' : ''} yet. Set some with: gatehouse config set ${remote.target.args} KEY=VALUE`,
    );
  });
}

function printOne(
  cli: Cli,
  { key, shown, version, args }: { key: string; shown: JsonObject; version: number; args: string },
): void {
  const value = Object.hasOwn(shown, key) ? shown[key] : undefined;
  if (value === undefined) {
    throw new CliError('cli.not_found', `Version ${version} has no key ${JSON.stringify(key)}.`, {
      fix: `see all with: gatehouse config get ${args}`,
    });
  }
  if (isMasked(value)) {
    // A script that takes the fingerprint for the password would fail far from here.
    throw new CliError('cli.not_found', `${JSON.stringify(key)} is a secret, and not shown by get.`, {
      fix: `whoever may reveal it (this is recorded) runs: gatehouse config reveal ${args} ${key}`,
    });
  }
  cli.output.json({ version, key, value });
  cli.output.line(typeof value === 'string' ? cli.output.safe(value) : JSON.stringify(value));
}

function isMasked(value: JsonValue): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, '$secret');
}

/** Where a value comes from; nothing for the own ones. */
function sourceText(source: JsonValue | undefined): string {
  const { kind, ...more } = (source ?? {}) as JsonObject;
  switch (kind) {
    case 'inherited':
      return `${text(more, 'namespace')} (version ${text(more, 'version')})`;
    case 'key':
      return `keyring ${text(more, 'keyring')}`;
    case 'client':
      return `client ${text(more, 'client_id')}`;
    default:
      return '';
  }
}
