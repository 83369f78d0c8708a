import { chmod, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import {
  type Format,
  formatOption,
  serviceArgument,
  serviceDescription,
  versionNumber,
  withNamespace,
} from '../config/options.ts';
import { CliError } from '../errors.ts';

interface Options {
  namespace: string;
  format?: Format;
  of?: number;
  effective?: boolean;
  reveal?: boolean;
  reason?: string;
  output?: string;
}

/** `gatehouse config export`: the configuration as a file that import reads back without loss. */
export function configExportCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('export')
    .description('the configuration as a file; secrets stay masked, and import keeps them')
    .argument(serviceArgument, serviceDescription)
    .addOption(formatOption('of the file; known by the name of --output, else env'))
    .option('--of <version>', 'of this version; the newest when absent', versionNumber)
    .option('--effective', 'all that instances get, inherited values too: to look at, not to import')
    .option('--reveal', 'with the secrets in the clear; this is recorded')
    .option('--reason <text>', 'why they are revealed, for the audit')
    .option('-o, --output <file>', 'write to this file, readable by its owner only; stdout when absent');
  withNamespace(command).action(async (service: string, options: Options) => {
    const { exportText, formatOfFile, remoteOf, targetOf, withRevealed } = await import('../config/index.ts');
    const { output: file, reveal = false, effective = false } = options;
    const remote = await remoteOf(cli, targetOf(service, options.namespace));
    const present = await remote.read(options.of);
    const masked = effective ? present.effective : present.own;
    const configuration = reveal ? await withRevealed(remote, present, masked, options.reason) : masked;
    const format = options.format ?? (file === undefined ? 'env' : (formatOfFile(file) ?? 'env'));
    const text = exportText(cli, format, configuration);
    if (file === undefined) {
      if (cli.output.isJson()) cli.output.json({ version: present.version, configuration });
      else cli.output.line(cli.output.safe(text.replace(/\n$/, '')));
      return;
    }
    await writeOwn(file, text);
    cli.output.json({ version: present.version, file, format });
    cli.output.line(`Wrote version ${present.version} of ${remote.target.label} to ${file}.`);
  });
}

/** Mode 0600 whatever was there before: it may hold secrets. */
async function writeOwn(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, '', { mode: 0o600 });
    await chmod(file, 0o600);
    await writeFile(file, text);
  } catch (error) {
    throw new CliError('cli.file', `${file} cannot be written (${(error as NodeJS.ErrnoException).code}).`, {
      fix: 'check its folder, its permissions and the space left',
    });
  }
}
