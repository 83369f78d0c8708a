import type { JsonObject } from '@gatehouse/contracts';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { namesOf } from '../config/names.ts';
import { serviceArgument, serviceDescription, versionNumber, withNamespace } from '../config/options.ts';
import { text } from '../values.ts';

/** `gatehouse config history`: the versions, newest first. */
export function configHistoryCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('history')
    .description('the versions, newest first')
    .argument(serviceArgument, serviceDescription)
    .option('--limit <number>', 'at most so many', versionNumber, 50);
  withNamespace(command).action(async (service: string, options: { namespace: string; limit: number }) => {
    const { remoteOf, targetOf } = await import('../config/index.ts');
    const remote = await remoteOf(cli, targetOf(service, options.namespace));
    const versions = await remote.history(options.limit);
    const names = cli.output.isJson()
      ? new Map()
      : await namesOf(await cli.api({ organization: remote.target.organization }), versions);
    cli.output.table(
      versions,
      [
        { heading: 'version', value: (version) => text(version, 'version') },
        { heading: 'published', value: (version) => text(version, 'created_at') },
        { heading: 'by', value: (version) => names.get(text(version, 'created_by')) ?? text(version, 'created_by') },
        { heading: 'kind', value: kindText },
        { heading: 'labels', value: (version) => labelsText(version['labels']) },
        { heading: 'message', value: (version) => text(version, 'message') },
      ],
      `${remote.target.label} has no version yet. Publish one with: gatehouse config set ${remote.target.args} KEY=VALUE`,
    );
  });
}

function kindText(version: JsonObject): string {
  const restores = text(version, 'restores');
  const kind = text(version, 'kind').replaceAll('_', ' ');
  return restores === '' ? kind : `${kind} to ${restores}`;
}

function labelsText(labels: JsonObject[string]): string {
  const named = (labels ?? {}) as JsonObject;
  return Object.keys(named)
    .map((name) => `${name}=${text(named, name)}`)
    .join(', ');
}
