import { type Command, InvalidArgumentError } from 'commander';
import type { Cli } from '../cli.ts';
import { assertConfirmed } from '../confirm.ts';
import { text } from '../values.ts';

/** `gatehouse secrets destroy`: what was encrypted under the secret becomes unreadable for good, after a delay. */
export function secretsDestroyCommand(parent: Command, cli: Cli): void {
  parent
    .command('destroy')
    .description('destroy a user secret after a delay; until then it can be restored')
    .argument('<secret>', 'its id, as secrets list shows it')
    .option('--delay-seconds <seconds>', '7 days when absent; 0 is final at once', wholeNumber)
    .option('--reason <text>', 'kept in the audit')
    .option('--yes', 'do not ask')
    .action(async (id: string, options: { delaySeconds?: number; reason?: string; yes?: boolean }) => {
      const { delaySeconds, reason } = options;
      await assertConfirmed(
        cli,
        options,
        delaySeconds === 0
          ? 'What was encrypted under this secret becomes unreadable for good, now. Destroy it?'
          : 'The secret is not released from now on, and gone for good after the delay. Destroy it?',
      );
      const api = await cli.api();
      const secret = await api.call(`/v1/secrets/${encodeURIComponent(id)}/destroy`, {
        method: 'POST',
        body: { delay_seconds: delaySeconds, reason },
      });
      cli.output.json(secret);
      cli.output.line(
        secret['status'] === 'destroyed'
          ? `Destroyed ${id}.`
          : `${id} is not released any more and will be destroyed at ${text(secret, 'destroy_at')}. To take it back: gatehouse secrets restore ${id}`,
      );
    });
}

function wholeNumber(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('It must be a whole number of seconds.');
  return Number(value);
}
