import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { text } from '../values.ts';

/** `gatehouse services list`: the services of the organization. */
export function servicesListCommand(parent: Command, cli: Cli): void {
  parent
    .command('list')
    .description('the services of the organization')
    .action(async () => {
      const api = await cli.api();
      cli.output.table(
        await api.list('/v1/services'),
        [
          { heading: 'service', value: (service) => text(service, 'name') },
          { heading: 'client id', value: (service) => text(service, 'client_id') },
          { heading: 'audience', value: (service) => text(service, 'audience') },
          { heading: 'status', value: (service) => text(service, 'status') },
          { heading: 'grants', value: (service) => text(service, 'grants') },
          {
            heading: 'public keys',
            value: (service) => text(service, 'pop_url') || (service['jwks'] ? 'registered' : ''),
          },
        ],
        'There is no service here yet. Register one with: gatehouse services create <name>',
      );
    });
}
