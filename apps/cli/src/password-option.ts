import { type Command, Option } from 'commander';
import { usageError } from './errors.ts';

/** `--password-file`, with `-` for stdin. */
export function passwordFileOption(): Option {
  return new Option('--password-file <file>', 'read the password from a file; - is stdin. Asked for when absent');
}

/** Refuses `--password x` with the reason: arguments of a program can be read by everyone on the machine. */
export function refusePasswordOption(command: Command): void {
  const refuse = (): never => {
    throw usageError(
      'A password does not belong on the command line: everyone on this machine can read it there.',
      'use --password-file <file>, or --password-file - for stdin; and change this password',
    );
  };
  command.addOption(new Option('--password [value]').argParser(refuse).hideHelp());
  command.on('option:password', refuse);
}
