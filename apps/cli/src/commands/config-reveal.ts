import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription, versionNumber, withNamespace } from '../config/options.ts';

interface Options {
  namespace: string;
  of?: number;
  reason?: string;
}

/** `gatehouse config reveal`: secrets in the clear, for who may; the server records it. */
export function configRevealCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('reveal')
    .description('show secrets in the clear; the audit records who did')
    .argument(serviceArgument, serviceDescription)
    .argument('[key...]', 'these only; one by itself is printed as it is')
    .option('--of <version>', 'of this version; the newest when absent', versionNumber)
    .option('--reason <text>', 'why, for the audit');
  withNamespace(command).action(async (service: string, keys: string[], options: Options) => {
    const { remoteOf, targetOf } = await import('../config/index.ts');
    const remote = await remoteOf(cli, targetOf(service, options.namespace));
    const version = options.of ?? (await remote.latest());
    const values = await remote.reveal(version, keys.length === 0 ? undefined : keys, options.reason);
    const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
    if (cli.output.isJson()) cli.output.json({ version, values });
    else if (keys.length === 1) cli.output.line(cli.output.safe(textOf(Object.values(values)[0])));
    else {
      cli.output.table(
        Object.entries(values),
        [
          { heading: 'key', value: ([key]) => key },
          { heading: 'value', value: ([, value]) => textOf(value) },
        ],
        `Version ${version} of ${remote.target.label} has no secret.`,
      );
    }
  });
}
