import type { Command } from 'commander';
import type { Cli } from '../cli.ts';

/** `gatehouse agents withdraw`: takes an invitation back. */
export function agentsWithdrawCommand(parent: Command, cli: Cli): void {
  parent
    .command('withdraw')
    .description('take an invitation back that was not used')
    .argument('<invitation>', 'its id, as agents invitations shows it')
    .requiredOption('--service <service>', 'of which service')
    .action(async (invitation: string, options: { service: string }) => {
      const { targetOf } = await import('../config/index.ts');
      const target = targetOf(options.service);
      const api = await cli.api({ organization: target.organization });
      await api.call(`/v1/services/${target.service}/enrolment-tokens/${encodeURIComponent(invitation)}`, {
        method: 'DELETE',
      });
      cli.output.json({ id: invitation });
      cli.output.line(`Took ${invitation} back.`);
    });
}
