import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import {
  type Format,
  formatOption,
  type PublishOptions,
  serviceArgument,
  serviceDescription,
  withNamespace,
  withSecrecy,
  withSettings,
} from '../config/options.ts';
import type { SecrecyOptions } from '../config/secrecy.ts';
import type { SettingsOptions } from '../config/settings.ts';
import { text } from '../values.ts';

interface Options extends SettingsOptions, SecrecyOptions, Pick<PublishOptions, 'message'> {
  namespace: string;
  file?: string;
  format?: Format;
}

/** `gatehouse config create`: makes a namespace, with a file also its version 1. */
export function configCreateCommand(parent: Command, cli: Cli): void {
  const command = withSecrecy(
    parent
      .command('create')
      .description('make a namespace')
      .argument(serviceArgument, serviceDescription)
      .option('-f, --file <file>', 'publish this file as its version 1; - is stdin')
      .addOption(formatOption('of the file; known by its name when absent'))
      .option('-m, --message <text>', 'why, for the history'),
  );
  withSettings(withNamespace(command)).action(async (service: string, options: Options) => {
    const { readConfigurationFile, settingsOf, targetOf, withSecrets } = await import('../config/index.ts');
    const target = targetOf(service, options.namespace);
    const settings = await settingsOf(options);
    const { file, format, message } = options;
    const configuration =
      file === undefined
        ? undefined
        : withSecrets((await readConfigurationFile(cli, file, format)).configuration, {}, options);
    const api = await cli.api({ organization: target.organization });
    const made = await api.call('/v1/services/namespaces', {
      method: 'POST',
      body: { service: target.service, namespace: target.namespace, ...settings, configuration, message },
    });
    cli.output.json(made);
    cli.output.line(
      Number(text(made, 'version')) > 0
        ? `Made ${target.label} with version ${text(made, 'version')}.`
        : `Made ${target.label}. Fill it with: gatehouse config set ${target.args} KEY=VALUE`,
    );
  });
}
