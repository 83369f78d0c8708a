import type { Command } from 'commander';
import { loginOf, type SessionTokens } from '../api.ts';
import type { Cli } from '../cli.ts';
import { ServerRefusal, usageError } from '../errors.ts';
import { passwordFileOption, refusePasswordOption } from '../password-option.ts';

/** `gatehouse login`: signs in and keeps the tokens for the commands that follow. */
export function loginCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('login')
    .description('sign in; the tokens are kept for the commands that follow')
    .option('--username <name>', 'user name; asked for when absent')
    .addOption(passwordFileOption());
  refusePasswordOption(command);
  command.action(async (options: { username?: string; passwordFile?: string }) => {
    const { output, terminal, credentials } = cli;
    const api = await cli.api();
    if (options.username === undefined && !terminal.isInteractive()) {
      throw usageError('There is no terminal to ask for the user name.', 'give it by --username');
    }
    const username = options.username ?? (await terminal.ask('User name: '));
    const password = await terminal.readSecret({
      file: options.passwordFile,
      question: `Password of ${username}`,
      option: '--password-file',
    });
    output.progress(`Signing in at ${api.server} …`);
    const tokens = await signIn();
    const login = loginOf(username, tokens, cli.now());
    await credentials.save(api.server, login, { makeCurrent: true });
    output.line(`Logged in to ${api.server} as ${username}. Kept in ${credentials.path}.`);
    output.json({ server: api.server, username, expires_at: login.expires_at, credentials_file: credentials.path });

    /** The second request seals anew: the server's keys may have been rotated between the two. */
    async function signIn(): Promise<SessionTokens> {
      try {
        return await post();
      } catch (error) {
        if (error instanceof ServerRefusal && error.serverCode === 'keys.cannot_decrypt') return post();
        throw error;
      }
    }

    async function post(): Promise<SessionTokens> {
      const { sealCredentials } = await import('../seal-credentials.ts');
      const sealed = await sealCredentials(api, { username, password });
      // At sign-in the organization is where the user is a member; for the other commands an operator chooses it.
      const body = { credentials: sealed, organization: api.organization };
      return (await api.open('/v1/sessions', { method: 'POST', body })) as unknown as SessionTokens;
    }
  });
}
