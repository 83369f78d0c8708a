import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription, versionNumber, withNamespace } from '../config/options.ts';
import { sayRollout } from '../rollout-text.ts';

/** `gatehouse rollouts stop`: nobody restarts with the version until it is resumed. */
export function rolloutsStopCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('stop')
    .description('stop a rollout: no further instance restarts with it')
    .argument(serviceArgument, serviceDescription)
    .argument('<version>', 'the version that is being rolled out', versionNumber)
    .option('-m, --message <text>', 'why, for whoever looks at it');
  withNamespace(command).action(
    async (service: string, version: number, options: { namespace: string; message?: string }) => {
      const { targetOf } = await import('../config/index.ts');
      const target = targetOf(service, options.namespace);
      const api = await cli.api({ organization: target.organization });
      const path = `/v1/services/${target.service}/${target.namespace}/rollouts/${version}/stop`;
      sayRollout(cli.output, await api.call(path, { method: 'POST', body: { reason: options.message } }));
    },
  );
}
