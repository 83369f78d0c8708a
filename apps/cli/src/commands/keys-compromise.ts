import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { assertConfirmed } from '../confirm.ts';

/** `gatehouse keys compromise`: withdraws a key at once. */
export function keysCompromiseCommand(parent: Command, cli: Cli): void {
  parent
    .command('compromise')
    .description('withdraw a key at once: it is never used or accepted again')
    .argument('<keyring>', 'its name, such as tokens-es256')
    .argument('<kid>', 'the key, as keys list shows it')
    .option('--yes', 'do not ask')
    .action(async (keyring: string, kid: string, options: { yes?: boolean }) => {
      await assertConfirmed(cli, options, `What ${kid} signed or opens is refused from now on. Withdraw it?`);
      const api = await cli.api();
      const path = `/v1/keyrings/${encodeURIComponent(keyring)}/keys/${encodeURIComponent(kid)}/compromise`;
      const answer = await api.call(path, { method: 'POST' });
      cli.output.json(answer);
      cli.output.line(answer['compromised'] === true ? `Withdrew ${kid}.` : `${kid} had been withdrawn before.`);
    });
}
