import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { passwordFileOption, refusePasswordOption } from '../password-option.ts';
import { collect, text } from '../values.ts';

interface Options {
  uid?: string;
  role?: string[];
  passwordFile?: string;
  withoutPassword?: boolean;
}

/** `gatehouse users create`: makes an account in the organization. */
export function usersCreateCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('create')
    .description('make an account')
    .argument('<username>', 'its user name; need not be an e-mail address')
    .option('--uid <uid>', 'its id in tokens; made by the server when absent, never given out twice')
    .option('--role <role>', 'a role it has, such as developer or records:reader; may be repeated', collect)
    .addOption(passwordFileOption())
    .option('--without-password', 'make it without one');
  refusePasswordOption(command);
  command.action(async (username: string, options: Options) => {
    const { uid, role: roles = [], passwordFile, withoutPassword = false } = options;
    const api = await cli.api();
    const password = withoutPassword
      ? undefined
      : await cli.terminal.readSecret({
          file: passwordFile,
          question: `New password of ${username}`,
          option: '--password-file',
          twice: true,
        });
    const user = await api.call('/v1/users', {
      method: 'POST',
      body: { username, uid, password, roles },
    });
    cli.output.json(user);
    cli.output.line(`Created ${text(user, 'username')} with the uid ${text(user, 'uid')}.`);
  });
}
