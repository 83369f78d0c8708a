import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { text } from '../values.ts';

/** `gatehouse agents list`: who may read the configuration of a service. */
export function agentsListCommand(parent: Command, cli: Cli): void {
  parent
    .command('list')
    .description('the agents of a service; what they run: gatehouse config instances')
    .requiredOption('--service <service>', 'of which service')
    .option('--revoked', 'revoked ones too')
    .action(async (options: { service: string; revoked?: boolean }) => {
      const { targetOf } = await import('../config/index.ts');
      const target = targetOf(options.service);
      const api = await cli.api({ organization: target.organization });
      cli.output.table(
        await api.list(`/v1/services/${target.service}/agents`, options.revoked ? { query: { revoked: 'true' } } : {}),
        [
          { heading: 'agent', value: (agent) => text(agent, 'id') },
          { heading: 'name', value: (agent) => text(agent, 'name') },
          { heading: 'status', value: (agent) => text(agent, 'status') },
          { heading: 'enrolled', value: (agent) => text(agent, 'enrolled_at') },
          { heading: 'keys since', value: (agent) => text(agent, 'keys_since') },
          { heading: 'seen', value: (agent) => text(agent, 'seen_at') },
        ],
        `${options.service} has no agent yet. Invite one with: gatehouse agents invite --service ${options.service}`,
      );
    });
}
