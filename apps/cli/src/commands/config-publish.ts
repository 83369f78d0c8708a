import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import {
  type Format,
  formatOption,
  type PublishOptions,
  serviceArgument,
  serviceDescription,
  versionNumber,
  withNamespace,
  withPublication,
  withSecrecy,
} from '../config/options.ts';
import type { SecrecyOptions } from '../config/secrecy.ts';
import { usageError } from '../errors.ts';

interface Options extends PublishOptions, SecrecyOptions {
  namespace: string;
  file?: string;
  format?: Format;
  proposal?: string;
  parent?: number;
  dryRun?: boolean;
  yes?: boolean;
}

/** `gatehouse config publish`: a file as the whole configuration, or what somebody proposed. */
export function configPublishCommand(parent: Command, cli: Cli): void {
  const command = withSecrecy(
    parent
      .command('publish')
      .description('publish a file as the whole configuration, or what somebody proposed')
      .argument(serviceArgument, serviceDescription)
      .option('-f, --file <file>', 'the whole configuration: keys that it has not are deleted; - is stdin')
      .addOption(formatOption('of the file; known by its name when absent'))
      .option('--proposal <id>', 'publish this proposal')
      .option('--parent <version>', 'refuse unless this is the newest version', versionNumber)
      .option('--dry-run', 'show the difference only')
      .option('--yes', 'do not ask'),
  );
  withPublication(withNamespace(command)).action(async (service: string, options: Options) => {
    const config = await import('../config/index.ts');
    const { file, format, proposal, parent: parentVersion, yes = false, dryRun = false } = options;
    if ((file === undefined) === (proposal === undefined)) {
      throw usageError('Say what to publish.', 'name either --file or --proposal');
    }
    const target = config.targetOf(service, options.namespace);
    const more = config.publicationOf(options);
    if (proposal !== undefined) {
      const remote = await config.remoteOf(cli, target);
      await config.publishProposal(cli, remote, { id: proposal, yes });
      return;
    }
    const parsed = await config.readConfigurationFile(cli, file ?? '-', format);
    const remote = await config.remoteOf(cli, target);
    const present = await remote.read();
    if (parentVersion !== undefined && parentVersion !== present.version) {
      const base = await remote.read(parentVersion);
      throw await config.conflictError(remote, {
        present: base,
        now: present,
        touched: Object.keys({ ...base.own, ...present.own }),
        paint: cli.output.paint,
      });
    }
    const configuration = config.withSecrets(parsed.configuration, present.own, options);
    if (!(await config.assertPublish(cli, remote, { present, next: configuration, yes, dryRun }))) return;
    // The file is the whole: what others publish in the meantime is not to be undone unseen, so it is a conflict.
    const request = { more, parentVersion: present.version, configuration };
    config.sayPublished(cli, remote, await remote.publish(request));
  });
}
