import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription, versionNumber, withNamespace } from '../config/options.ts';
import { sayRollout } from '../rollout-text.ts';
import { text } from '../values.ts';

/** `gatehouse rollouts show`: where the instances are with a version. */
export function rolloutsShowCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('show')
    .description('where the instances are with a version, and what decides on it')
    .argument(serviceArgument, serviceDescription)
    .argument('[version]', 'the newest when absent', versionNumber);
  withNamespace(command).action(
    async (service: string, version: number | undefined, options: { namespace: string }) => {
      const { targetOf } = await import('../config/index.ts');
      const target = targetOf(service, options.namespace);
      const api = await cli.api({ organization: target.organization });
      const path = `/v1/services/${target.service}/${target.namespace}`;
      const wanted = version ?? text(await api.call(`${path}/latest`), 'version');
      sayRollout(cli.output, await api.call(`${path}/rollouts/${wanted}`));
    },
  );
}
