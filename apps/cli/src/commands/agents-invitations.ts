import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { text } from '../values.ts';

/** `gatehouse agents invitations`: the one-time tokens that can still be used. */
export function agentsInvitationsCommand(parent: Command, cli: Cli): void {
  parent
    .command('invitations')
    .description('the invitations of a service that were not used yet; never the tokens')
    .requiredOption('--service <service>', 'of which service')
    .action(async (options: { service: string }) => {
      const { targetOf } = await import('../config/index.ts');
      const target = targetOf(options.service);
      const api = await cli.api({ organization: target.organization });
      cli.output.table(
        await api.list(`/v1/services/${target.service}/enrolment-tokens`),
        [
          { heading: 'invitation', value: (one) => text(one, 'id') },
          { heading: 'name', value: (one) => text(one, 'name') },
          { heading: 'by', value: (one) => text(one, 'created_by') },
          { heading: 'until', value: (one) => text(one, 'expires_at') },
        ],
        `Nobody is invited. Invite with: gatehouse agents invite --service ${options.service}`,
      );
    });
}
