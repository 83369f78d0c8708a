import type { JsonObject } from '@gatehouse/contracts';
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
          { heading: 'instance', value: (one) => text(one, 'name') || text(one, 'agent_id') },
          { heading: 'namespace', value: (one) => text(one, 'namespace') },
          { heading: 'runs', value: (one) => text(one, 'running_version') },
          { heading: 'state', value: stateText },
          { heading: 'since', value: (one) => text(one, 'since') },
          { heading: 'last seen', value: (one) => text(one, 'last_seen_at') },
          { heading: 'reason', value: (one) => text(one, 'reason') },
        ],
        `No instance of ${service} has reported yet. Start one with: gatehouse run --service ${service} -- <command>`,
      );
    });
}

/** `healthy`, or with the version that it is about when that is not the one it runs: `rejected 8`. */
function stateText(instance: JsonObject): string {
  const state = text(instance, 'state');
  const version = text(instance, 'version');
  const about = version === text(instance, 'running_version') ? '' : ` ${version}`;
  return `${state}${about}${instance['in_fleet'] === false && state !== 'stopped' ? ', gone' : ''}`;
}
