import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription } from '../config/options.ts';
import { text } from '../values.ts';

/** `gatehouse config instances`: which instance runs which version since when. */
export function configInstancesCommand(parent: Command, cli: Cli): void {
  parent
    .command('instances')
    .description('who runs which version since when')
    .argument(serviceArgument, serviceDescription)
    .option('-n, --namespace <name>', 'of this namespace only')
    .action(async (service: string, options: { namespace?: string }) => {
      const { targetOf } = await import('../config/index.ts');
      const target = targetOf(service, options.namespace);
      const api = await cli.api({ organization: target.organization });
      cli.output.table(
        await api.list(`/v1/services/${target.service}/instances`, { query: { namespace: options.namespace } }),
        [
          { heading: 'instance', value: (one) => text(one, 'name') || text(one, 'agent') },
          { heading: 'namespace', value: (one) => text(one, 'namespace') },
          { heading: 'runs', value: (one) => text(one, 'applied_version') },
          { heading: 'state', value: (one) => text(one, 'state') },
          { heading: 'since', value: (one) => text(one, 'since') },
          { heading: 'seen', value: (one) => text(one, 'seen_at') },
          { heading: 'reason', value: (one) => text(one, 'reason') },
        ],
        `No instance of ${service} has reported yet. Start one with: gatehouse run --service ${service} -- <command>`,
      );
    });
}
