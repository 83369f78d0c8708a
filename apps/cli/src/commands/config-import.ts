import type { JsonValue } from '@gatehouse/contracts';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import {
  type Format,
  formatOption,
  type PublishOptions,
  serviceArgument,
  serviceDescription,
  withNamespace,
  withPublication,
  withSecrecy,
} from '../config/options.ts';
import type { SecrecyOptions } from '../config/secrecy.ts';
import { count } from '../values.ts';

interface Options extends PublishOptions, SecrecyOptions {
  namespace: string;
  replace?: boolean;
  format?: Format;
  dryRun?: boolean;
  yes?: boolean;
}

/** `gatehouse config import`: sets what a file has. */
export function configImportCommand(parent: Command, cli: Cli): void {
  const command = withSecrecy(
    parent
      .command('import')
      .description('set the keys of a .env, JSON, YAML or properties file; shows the difference first')
      .argument(serviceArgument, serviceDescription)
      .argument('<file>', 'the file; - is stdin')
      .addOption(formatOption('of the file; known by its name when absent'))
      .option('--replace', 'delete the keys that the file has not')
      .option('--dry-run', 'show the difference only')
      .option('--yes', 'do not ask'),
  );
  withPublication(withNamespace(command)).action(async (service: string, file: string, options: Options) => {
    const config = await import('../config/index.ts');
    const more = config.publicationOf(options);
    const target = config.targetOf(service, options.namespace);
    const parsed = await config.readConfigurationFile(cli, file, options.format);
    const remote = await config.remoteOf(cli, target);
    const present = await remote.read();
    const set = config.withSecrets(parsed.configuration, present.own, options) as Record<string, JsonValue>;
    const gone = (key: string) => options.replace === true && !Object.hasOwn(set, key);
    const change = { set, unset: Object.keys(present.own).filter(gone) };
    if (parsed.comments > 0) {
      cli.output.progress(`${count(parsed.comments, 'comment')} of the file: not kept, for a configuration has none.`);
    }
    const next = config.applyChange(present.own, change);
    const { yes = false, dryRun = false } = options;
    if (!(await config.assertPublish(cli, remote, { present, next, yes, dryRun }))) return;
    config.sayPublished(cli, remote, await config.publishChange(cli, remote, { more, present, change }));
  });
}
