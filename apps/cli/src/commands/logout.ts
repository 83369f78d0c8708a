import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { CliError } from '../errors.ts';

/** `gatehouse logout`: ends the session at the server and forgets its tokens. */
export function logoutCommand(parent: Command, cli: Cli): void {
  parent
    .command('logout')
    .description('end the session and forget its tokens')
    .action(async () => {
      const { output, credentials } = cli;
      const api = await cli.api({ loginOnly: true });
      const login = await credentials.find(api.server);
      if (!login) {
        output.line(`There is no login at ${api.server}.`);
        output.json({ server: api.server, logged_out: false });
        return;
      }
      let problem: unknown;
      try {
        await api.call('/v1/sessions/current', { method: 'DELETE' });
      } catch (error) {
        problem = error;
      }
      // Forgotten here whatever the server said: a login that has ended cannot be ended again.
      await credentials.remove(api.server);
      const ended = !problem || (problem instanceof CliError && problem.problem['code'] === 'cli.login_needed');
      if (!ended) {
        output.warning('the login is forgotten here, but the server did not end the session:');
        throw problem;
      }
      output.line(`Logged out of ${api.server}.`);
      output.json({ server: api.server, logged_out: true });
    });
}
