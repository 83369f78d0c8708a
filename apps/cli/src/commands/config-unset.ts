import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import {
  type PublishOptions,
  serviceArgument,
  serviceDescription,
  withNamespace,
  withPublication,
} from '../config/options.ts';
import { CliError } from '../errors.ts';
import { oneLine } from '../values.ts';

/** `gatehouse config unset`: takes keys away. */
export function configUnsetCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('unset')
    .description('take keys away; an inherited value shows again')
    .argument(serviceArgument, serviceDescription)
    .argument('<key...>', 'the keys');
  withPublication(withNamespace(command)).action(
    async (service: string, keys: string[], options: PublishOptions & { namespace: string }) => {
      const { publicationOf, publishChange, remoteOf, sayPublished, targetOf } = await import('../config/index.ts');
      const more = publicationOf(options);
      const remote = await remoteOf(cli, targetOf(service, options.namespace));
      const present = await remote.read();
      const missing = keys.filter((key) => !Object.hasOwn(present.own, key));
      if (missing.length > 0) {
        const inherited = missing.filter((key) => Object.hasOwn(present.effective, key));
        const names = missing.map((key) => oneLine(key)).join(', ');
        throw new CliError('cli.not_found', `Version ${present.version} sets no ${names} of its own.`, {
          fix: `${inherited.length > 0 ? 'it is inherited: unset it where it comes from; ' : ''}see gatehouse config get ${remote.target.args}`,
        });
      }
      const change = { set: {}, unset: keys };
      sayPublished(cli, remote, await publishChange(cli, remote, { more, present, change }));
    },
  );
}
