import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { text } from '../values.ts';

/** `gatehouse secrets list`: which user secrets there are; never their values. */
export function secretsListCommand(parent: Command, cli: Cli): void {
  parent
    .command('list')
    .description('user secrets; never their values')
    .option('--subject <uid>', 'only of this user')
    .action(async ({ subject }: { subject?: string }) => {
      const api = await cli.api();
      const secrets = await api.list('/v1/secrets', { query: { subject } });
      cli.output.table(
        secrets,
        [
          { heading: 'secret', value: (secret) => text(secret, 'id') },
          { heading: 'subject', value: (secret) => text(secret, 'subject') },
          { heading: 'issuer', value: (secret) => text(secret, 'issuer') },
          { heading: 'status', value: (secret) => text(secret, 'status') },
          { heading: 'created', value: (secret) => text(secret, 'created_at') },
          { heading: 'ends', value: (secret) => text(secret, 'destroyed_at') || text(secret, 'destroy_at') },
        ],
        'There are no user secrets here yet: one is made when a service first asks for it.',
      );
    });
}
