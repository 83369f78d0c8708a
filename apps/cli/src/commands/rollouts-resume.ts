import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription, versionNumber, withNamespace } from '../config/options.ts';
import { sayRollout } from '../rollout-text.ts';

/** `gatehouse rollouts resume`: a stopped or failed rollout goes on. */
export function rolloutsResumeCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('resume')
    .description('let a stopped or failed rollout go on')
    .argument(serviceArgument, serviceDescription)
    .argument('<version>', 'the newest version', versionNumber);
  withNamespace(command).action(async (service: string, version: number, options: { namespace: string }) => {
    const { targetOf } = await import('../config/index.ts');
    const target = targetOf(service, options.namespace);
    const api = await cli.api({ organization: target.organization });
    const path = `/v1/services/${target.service}/${target.namespace}/rollouts/${version}/resume`;
    sayRollout(cli.output, await api.call(path, { method: 'POST' }));
  });
}
