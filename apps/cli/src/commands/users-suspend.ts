import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { findUser } from '../find-user.ts';
import { text } from '../values.ts';

/** `gatehouse users suspend`: ends the sessions of a user and refuses it everywhere. */
export function usersSuspendCommand(parent: Command, cli: Cli): void {
  parent
    .command('suspend')
    .description('suspend an account: ends its sessions, refresh tokens and grants at once')
    .argument('<user>', 'uid or user name')
    .action(async (name: string) => {
      const api = await cli.api();
      const uid = text(await findUser(api, name), 'uid');
      const user = await api.call(`/v1/users/${encodeURIComponent(uid)}/suspend`, { method: 'POST' });
      cli.output.json(user);
      cli.output.line(
        `Suspended ${text(user, 'username')} (${text(user, 'uid')}): its sessions and tokens have ended.`,
      );
    });
}
