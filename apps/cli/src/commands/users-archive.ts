import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { findUser } from '../find-user.ts';
import { text } from '../values.ts';

/** `gatehouse users archive`: puts an account away for good. */
export function usersArchiveCommand(parent: Command, cli: Cli): void {
  parent
    .command('archive')
    .description('put an account away: as suspend, for someone who has left; its uid is never used again')
    .argument('<user>', 'uid or user name')
    .action(async (name: string) => {
      const api = await cli.api();
      const uid = text(await findUser(api, name), 'uid');
      const user = await api.call(`/v1/users/${encodeURIComponent(uid)}/archive`, { method: 'POST' });
      cli.output.json(user);
      cli.output.line(`Archived ${text(user, 'username')} (${text(user, 'uid')}): its sessions and tokens have ended.`);
    });
}
