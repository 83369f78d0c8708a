import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription, withNamespace } from '../config/options.ts';
import { assertConfirmed } from '../confirm.ts';
import { text } from '../values.ts';

/** `gatehouse config delete`: deletes a namespace with all its versions. */
export function configDeleteCommand(parent: Command, cli: Cli): void {
  withNamespace(
    parent
      .command('delete')
      .description('delete a namespace with all its versions and secrets')
      .argument(serviceArgument, serviceDescription)
      .option('--yes', 'do not ask'),
  ).action(async (service: string, options: { namespace: string; yes?: boolean }) => {
    const { remoteOf, targetOf } = await import('../config/index.ts');
    const remote = await remoteOf(cli, targetOf(service, options.namespace));
    const { label } = remote.target;
    const versions = text(await remote.call(''), 'version');
    await assertConfirmed(
      cli,
      options,
      `All ${versions} versions of ${label} and its secrets are gone for good. Delete it?`,
    );
    cli.output.json(await remote.call('', { method: 'DELETE' }));
    cli.output.line(`Deleted ${label}.`);
  });
}
