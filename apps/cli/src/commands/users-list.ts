import { type Command, Option } from 'commander';
import type { Cli } from '../cli.ts';
import { text } from '../values.ts';

/** `gatehouse users list`: the members of the organization. */
export function usersListCommand(parent: Command, cli: Cli): void {
  parent
    .command('list')
    .description('the members of the organization')
    .addOption(new Option('--status <status>', 'only these').choices(['active', 'deactivated', 'archived']))
    .option('--username <beginning>', 'only those whose user name begins so')
    .action(async (query: { status?: string; username?: string }) => {
      const api = await cli.api();
      cli.output.table(
        await api.list('/v1/users', { query }),
        [
          { heading: 'user name', value: (user) => text(user, 'username') },
          { heading: 'uid', value: (user) => text(user, 'uid') },
          { heading: 'status', value: (user) => text(user, 'status') },
          { heading: 'roles', value: (user) => text(user, 'roles') },
          { heading: 'last login', value: (user) => text(user, 'last_login') },
        ],
        'No user fits.',
      );
    });
}
