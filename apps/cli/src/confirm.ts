import type { Cli } from './cli.ts';
import { CliError, usageError } from './errors.ts';

/** Something that cannot be taken back is asked for at a terminal, and needs `--yes` elsewhere. */
export async function assertConfirmed(
  cli: Cli,
  options: { yes?: boolean },
  question: string,
  refusal = 'This cannot be taken back, and there is no terminal to ask.',
): Promise<void> {
  if (options.yes) return;
  if (!cli.terminal.isInteractive() || cli.output.isJson()) {
    throw usageError(refusal, 'add --yes');
  }
  if (!(await cli.terminal.confirm(question)))
    throw new CliError('cli.not_confirmed', 'Not confirmed; nothing was changed.');
}
