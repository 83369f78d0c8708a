import type { JsonObject } from '@gatehouse/contracts';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription, withNamespace, withSettings } from '../config/options.ts';
import type { SettingsOptions } from '../config/settings.ts';
import { text } from '../values.ts';

/** `gatehouse config settings`: shows the settings of a namespace, or changes those that are named. */
export function configSettingsCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('settings')
    .description('show the settings of a namespace, or change those that are named')
    .argument(serviceArgument, serviceDescription);
  withSettings(withNamespace(command)).action(
    async (service: string, options: SettingsOptions & { namespace: string }) => {
      const { remoteOf, settingsOf, targetOf } = await import('../config/index.ts');
      const remote = await remoteOf(cli, targetOf(service, options.namespace));
      const settings = await settingsOf(options);
      const isChange = Object.values(settings).some((value) => value !== undefined);
      const answer = isChange ? await remote.call('', { method: 'PATCH', body: settings }) : await remote.call('');
      if (cli.output.isJson()) cli.output.json(answer);
      else for (const line of settingsLines(answer)) cli.output.line(line);
    },
  );
}

function settingsLines(namespace: JsonObject): string[] {
  const named = (namespace['labels'] ?? {}) as JsonObject;
  const labels = Object.keys(named).map((name) => `${name}=${text(named, name)}`);
  return [
    `version: ${text(namespace, 'version')}`,
    `extends: ${text(namespace, 'extends') || 'nothing'}`,
    `shared: ${namespace['shared'] === true ? 'yes' : 'no'}`,
    `review required: ${namespace['review_required'] === true ? 'yes' : 'no'}`,
    `schema: ${namespace['schema'] === undefined ? 'none' : JSON.stringify(namespace['schema'])}`,
    `labels: ${text({ labels }, 'labels') || 'none'}`,
    `made: ${text(namespace, 'created_at')} by ${text(namespace, 'created_by')}`,
  ];
}
