import type { JsonObject } from '@gatehouse/contracts';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { text } from '../values.ts';

/** `gatehouse keys list`: keyrings, their keys, the states and times of these. */
export function keysListCommand(parent: Command, cli: Cli): void {
  parent
    .command('list')
    .description('keyrings and their keys')
    .option('--all', 'also expired and compromised keys')
    .action(async ({ all = false }: { all?: boolean }) => {
      const api = await cli.api();
      const keyrings = await api.list('/v1/keyrings');
      if (cli.output.isJson()) {
        cli.output.json({ items: keyrings });
        return;
      }
      const keys = keyrings.flatMap((keyring) =>
        ((keyring['keys'] ?? []) as unknown as JsonObject[])
          .filter((key) => all || !['expired', 'compromised'].includes(text(key, 'state')))
          .map((key) => ({ keyring, key })),
      );
      cli.output.table(
        keys,
        [
          { heading: 'keyring', value: ({ keyring }) => text(keyring, 'name') },
          { heading: 'algorithm', value: ({ keyring }) => text(keyring, 'algorithm') },
          { heading: 'key', value: ({ key }) => text(key, 'kid') },
          { heading: 'state', value: ({ key }) => text(key, 'state') },
          { heading: 'in use', value: ({ key }) => (key['in_use'] === true ? 'yes' : '') },
          { heading: 'valid from', value: ({ key }) => text(key, 'not_before') },
          { heading: 'accepted until', value: ({ key }) => text(key, 'expire_at') },
        ],
        `There are no keyrings here. Those of the server belong to the organization gatehouse.`,
      );
    });
}
