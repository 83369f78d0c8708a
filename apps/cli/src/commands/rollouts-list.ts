import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription, withNamespace } from '../config/options.ts';
import { countsText } from '../rollout-text.ts';
import { text } from '../values.ts';

/** `gatehouse rollouts list`: the rollouts of a namespace, newest first. */
export function rolloutsListCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('list')
    .description('the rollouts of a namespace, newest first')
    .argument(serviceArgument, serviceDescription);
  withNamespace(command).action(async (service: string, options: { namespace: string }) => {
    const { targetOf } = await import('../config/index.ts');
    const target = targetOf(service, options.namespace);
    const api = await cli.api({ organization: target.organization });
    cli.output.table(
      await api.list(`/v1/services/${target.service}/${target.namespace}/rollouts`),
      [
        { heading: 'version', value: (one) => text(one, 'version') },
        { heading: 'state', value: (one) => text(one, 'phase') || text(one, 'state') },
        { heading: 'instances', value: countsText },
        { heading: 'begun', value: (one) => text(one, 'started_at') },
        { heading: 'ended', value: (one) => text(one, 'ended_at') },
        { heading: 'reason', value: (one) => text(one, 'reason') },
      ],
      `${target.label} has no version yet.`,
    );
  });
}
