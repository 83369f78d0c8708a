import { type Command, Option } from 'commander';
import type { Cli } from '../cli.ts';
import { collect, text } from '../values.ts';

interface Options {
  audience?: string;
  popUrl?: string;
  authentication?: string;
  grant?: string[];
  redirectUri?: string[];
  role?: string[];
  accountRole?: string[];
}

/** `gatehouse services create`: registers a service; its client secret is shown once. */
export function servicesCreateCommand(parent: Command, cli: Cli): void {
  parent
    .command('create')
    .description('register a service; its client secret is shown once')
    .argument('<name>', 'its name; the client id is <organization>.<name>')
    .option('--audience <audience>', 'its name in the aud of tokens; the client id when absent')
    .option('--pop-url <url>', 'where it publishes its public keys')
    .addOption(
      new Option('--authentication <kind>', 'how it proves who it is; client_secret when absent').choices([
        'client_secret',
        'private_key_jwt',
        'none',
      ]),
    )
    .option('--grant <grant>', 'client_credentials, authorization_code, token_exchange …; may be repeated', collect)
    .option('--redirect-uri <uri>', 'where sign-ins return to; may be repeated', collect)
    .option('--role <role>', 'a role that users may have in it; may be repeated', collect)
    .option('--account-role <role>', 'a role that its own account has, such as auditor; may be repeated', collect)
    .action(async (name: string, options: Options) => {
      const { audience, popUrl, authentication, grant, redirectUri, role, accountRole } = options;
      const api = await cli.api();
      const service = await api.call('/v1/services', {
        method: 'POST',
        // What was not said is not sent.
        body: {
          name,
          audience,
          pop_url: popUrl,
          authentication,
          grants: grant,
          redirect_uris: redirectUri,
          roles: role,
          account_roles: accountRole,
        },
      });
      cli.output.json(service);
      cli.output.line(`Registered ${text(service, 'client_id')} with the audience ${text(service, 'audience')}.`);
      const secret = text(service, 'client_secret');
      if (secret === '') return;
      cli.output.line();
      cli.output.line(cli.output.paint('strong', 'Client secret, shown this once:'));
      cli.output.line(`  ${secret}`);
    });
}
