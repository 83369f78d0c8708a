import type { JsonObject } from '@gatehouse/contracts';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { text } from '../values.ts';

/** `gatehouse keys rotate`: puts the next key of a keyring in use now. */
export function keysRotateCommand(parent: Command, cli: Cli): void {
  parent
    .command('rotate')
    .description('put the next key of a keyring in use now')
    .argument('<keyring>', 'its name, such as tokens-es256')
    .option('--force', 'although the next key may be missing in caches of services: for emergencies')
    .action(async (keyring: string, { force = false }: { force?: boolean }) => {
      const api = await cli.api();
      const answer = await api.call(`/v1/keyrings/${encodeURIComponent(keyring)}/rotate`, {
        method: 'POST',
        body: force ? { force } : {},
      });
      cli.output.json(answer);
      const { keys } = answer['keyring'] as { keys?: readonly JsonObject[] };
      const inUse = keys?.find((key) => key['in_use'] === true);
      cli.output.line(
        answer['rotated'] === true
          ? `Rotated ${keyring}. In use now: ${inUse ? text(inUse, 'kid') : 'none'}.`
          : `${keyring} was rotated by somebody else at the same moment. In use now: ${inUse ? text(inUse, 'kid') : 'none'}.`,
      );
    });
}
