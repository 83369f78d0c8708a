import type { Command } from 'commander';
import type { Cli } from '../cli.ts';

/** `gatehouse secrets restore`: takes back a destruction that is not final yet. */
export function secretsRestoreCommand(parent: Command, cli: Cli): void {
  parent
    .command('restore')
    .description('take back a destruction that is not final yet')
    .argument('<secret>', 'its id, as secrets list shows it')
    .action(async (id: string) => {
      const api = await cli.api();
      const secret = await api.call(`/v1/secrets/${encodeURIComponent(id)}/restore`, { method: 'POST' });
      cli.output.json(secret);
      cli.output.line(`Restored ${id}: it is released again.`);
    });
}
