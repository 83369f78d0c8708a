import type { ConfigurationChange } from '@gatehouse/configuration';
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
import { usageError } from '../errors.ts';
import { text } from '../values.ts';

interface Options {
  namespace: string;
  previous?: boolean;
  file?: string;
  format?: Format;
}

/** `gatehouse config diff`: what a version changed, what two versions differ in, what a file would change. */
export function configDiffCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('diff')
    .description('what the newest or a version changed, or what differs between two; secrets by fingerprint')
    .argument(serviceArgument, serviceDescription)
    .argument('[from]', 'a version; with only this one: what it changed against its parent', versionNumber)
    .argument('[to]', 'another version', versionNumber)
    .option('--previous', 'compare with the version before instead of the parent')
    .option('--file <file>', 'what publishing this file would change; - is stdin')
    .addOption(formatOption('of the file; known by its name when absent'));
  withNamespace(command).action(
    async (service: string, from: number | undefined, to: number | undefined, options: Options) => {
      const { changeCount, changeLines, diff, keepSecrets, maskedChange, readConfigurationFile, remoteOf, targetOf } =
        await import('../config/index.ts');
      if (options.file !== undefined && to !== undefined) {
        throw usageError('A file is compared with one version.', 'leave out the second');
      }
      const remote = await remoteOf(cli, targetOf(service, options.namespace));
      const show = (title: string, change: ConfigurationChange): void => {
        cli.output.progress(title);
        for (const line of changeLines(change, cli.output.paint)) cli.output.line(line);
        if (changeCount(change) === 0) cli.output.progress('Nothing differs.');
      };
      if (options.file !== undefined) {
        const { configuration } = await readConfigurationFile(cli, options.file, options.format);
        const present = await remote.read(from);
        const change = diff(present.own, keepSecrets(configuration, present.own));
        show(`Version ${present.version} → ${options.file}`, change);
        cli.output.json({ compared_with: present.version, file: options.file, ...maskedChange(change) });
        return;
      }
      const version = to ?? from ?? (await remote.latest());
      if (version === 0) throw usageError(`${remote.target.label} has no version yet.`, 'publish one first');
      const base = to === undefined ? (options.previous === true ? 'previous' : 'parent') : String(from);
      const answer = await remote.call(`/${version}/compare`, { query: { with: base } });
      show(`Version ${text(answer, 'compared_with')} → ${version}`, answer as unknown as ConfigurationChange);
      cli.output.json(answer);
    },
  );
}
