import { type Command, InvalidArgumentError } from 'commander';
import { parseDuration } from '../agent/durations.ts';
import type { Cli } from '../cli.ts';
import { text } from '../values.ts';

/** `gatehouse agents invite`: a one-time token with which one agent enrols. */
export function agentsInviteCommand(parent: Command, cli: Cli): void {
  parent
    .command('invite')
    .description('print a token with which one agent can enrol; shown once, works once')
    .requiredOption('--service <service>', 'whose configuration the agent may read, secrets included')
    .option('--name <name>', 'for whom, such as a host; shown in the list of invitations')
    .option('--expires-in <time>', 'how long it can be used; 15m when absent', secondsOption)
    .action(async (options: { service: string; name?: string; expiresIn?: number }) => {
      const { targetOf } = await import('../config/index.ts');
      const target = targetOf(options.service);
      const api = await cli.api({ organization: target.organization });
      const invitation = await api.call(`/v1/services/${target.service}/enrolment-tokens`, {
        method: 'POST',
        body: { name: options.name, expires_in: options.expiresIn },
      });
      cli.output.json(invitation);
      // The token alone on stdout, so that it can go into a file.
      cli.output.line(text(invitation, 'enrolment_token'));
      cli.output.progress(
        `Shown this once; enrols one agent of ${options.service} until ${text(invitation, 'expires_at')}.`,
      );
    });
}

function secondsOption(given: string): number {
  const milliseconds = parseDuration(given);
  if (milliseconds === undefined || milliseconds < 1000)
    throw new InvalidArgumentError('Use a time such as 15m, 1h or 2d.');
  return Math.round(milliseconds / 1000);
}
