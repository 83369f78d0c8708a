import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription } from '../config/options.ts';
import { text } from '../values.ts';

/** `gatehouse config namespaces`: the namespaces of a service. */
export function configNamespacesCommand(parent: Command, cli: Cli): void {
  parent
    .command('namespaces')
    .description('the namespaces of a service')
    .argument(serviceArgument, serviceDescription)
    .action(async (service: string) => {
      const { targetOf } = await import('../config/index.ts');
      const target = targetOf(service);
      const api = await cli.api({ organization: target.organization });
      cli.output.table(
        await api.list(`/v1/services/${target.service}/namespaces`),
        [
          { heading: 'namespace', value: (one) => text(one, 'namespace') },
          { heading: 'version', value: (one) => text(one, 'version') },
          { heading: 'extends', value: (one) => text(one, 'extends') },
          { heading: 'shared', value: (one) => (one['shared'] === true ? 'yes' : '') },
          { heading: 'review', value: (one) => (one['review_required'] === true ? 'yes' : '') },
          { heading: 'schema', value: (one) => (one['schema'] === undefined ? '' : 'yes') },
          { heading: 'changed', value: (one) => text(one, 'updated_at') },
        ],
        `${service} has no namespace yet. Make one with: gatehouse config create ${service}`,
      );
    });
}
