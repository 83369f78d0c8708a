import type { ConfigurationChange } from '@gatehouse/configuration';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import {
  type PublishOptions,
  serviceArgument,
  serviceDescription,
  versionNumber,
  withNamespace,
  withPublication,
} from '../config/options.ts';
import { assertConfirmed } from '../confirm.ts';
import { usageError } from '../errors.ts';
import { text } from '../values.ts';

interface Options extends PublishOptions {
  namespace: string;
  yes?: boolean;
}

/** `gatehouse config rollback`: publishes the content of an older version as the newest. */
export function configRollbackCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('rollback')
    .description('publish what an older version had as a new version, secrets included')
    .argument(serviceArgument, serviceDescription)
    .argument('<version>', 'the version to restore', versionNumber)
    .option('--yes', 'do not ask');
  withPublication(withNamespace(command)).action(async (service: string, version: number, options: Options) => {
    const { changeCount, changeLines, publicationOf, remoteOf, sayPublished, targetOf } = await import(
      '../config/index.ts'
    );
    const more = publicationOf(options);
    const remote = await remoteOf(cli, targetOf(service, options.namespace));
    const restored = await remote.read(version);
    const latest = await remote.latest();
    if (latest === version) throw usageError(`Version ${version} is the newest.`, 'name an older one');
    const compared = await remote.call(`/${version}/compare`, { query: { with: String(latest) } });
    const change = compared as unknown as ConfigurationChange;
    const written = `${text(restored.answer, 'created_at')} by ${await remote.authorOf(restored)}`;
    const why = text(restored.answer, 'message');
    cli.output.progress(`Version ${version}, published ${written}${why === '' ? '' : `: ${why}`}`);
    for (const line of changeLines(change, cli.output.paint)) cli.output.line(line);
    if (changeCount(change) === 0) cli.output.progress(`It is equal to version ${latest}.`);
    await assertConfirmed(
      cli,
      options,
      `Publish this as version ${latest + 1} of ${remote.target.label}?`,
      'A rollback is published to all instances, and there is no terminal to ask.',
    );
    // Against the version that was shown: what came in between would be undone unseen.
    const body = { ...more, version, parent_version: latest };
    sayPublished(cli, remote, await remote.call('/rollback', { method: 'POST', body }));
  });
}
