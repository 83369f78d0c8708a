import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { findUser } from '../find-user.ts';
import { text } from '../values.ts';

/** `gatehouse users restore`: lets a suspended or archived user sign in again. */
export function usersRestoreCommand(parent: Command, cli: Cli): void {
  parent
    .command('restore')
    .description('restore a suspended or archived account')
    .argument('<user>', 'uid or user name')
    .action(async (name: string) => {
      const api = await cli.api();
      const uid = text(await findUser(api, name), 'uid');
      const user = await api.call(`/v1/users/${encodeURIComponent(uid)}/restore`, { method: 'POST' });
      cli.output.json(user);
      cli.output.line(`Restored ${text(user, 'username')} (${text(user, 'uid')}): it may sign in again.`);
    });
}
