import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { assertConfirmed } from '../confirm.ts';

/** `gatehouse agents revoke`: an agent gets nothing any more, from this moment. */
export function agentsRevokeCommand(parent: Command, cli: Cli): void {
  parent
    .command('revoke')
    .description('give an agent nothing any more, at once; what it has already, it has: rotate the secrets it knew')
    .argument('<agent>', 'its id, as agents list shows it')
    .requiredOption('--service <service>', 'of which service')
    .option('--yes', 'do not ask')
    .action(async (agent: string, options: { service: string; yes?: boolean }) => {
      const { targetOf } = await import('../config/index.ts');
      const target = targetOf(options.service);
      const api = await cli.api({ organization: target.organization });
      await assertConfirmed(cli, options, `Revoke ${agent}? It must be enrolled anew to come back.`);
      await api.call(`/v1/services/${target.service}/agents/${encodeURIComponent(agent)}`, { method: 'DELETE' });
      cli.output.json({ id: agent, status: 'revoked' });
      cli.output.line(`Revoked ${agent}.`);
    });
}
