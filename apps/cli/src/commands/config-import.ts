import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import type { ImportOptions } from '../config/import.ts';
import {
  type Format,
  formatOption,
  type PublishOptions,
  serviceArgument,
  serviceDescription,
  withNamespace,
  withPublication,
} from '../config/options.ts';
import { collect } from '../values.ts';

interface Options extends PublishOptions, ImportOptions {
  namespace: string;
  format?: Format;
  dryRun?: boolean;
  yes?: boolean;
}

/** `gatehouse config import`: sets what a file has. */
export function configImportCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('import')
    .description('set the keys of a .env, JSON, YAML or properties file; shows the difference first')
    .argument(serviceArgument, serviceDescription)
    .argument('<file>', 'the file; - is stdin')
    .addOption(formatOption('of the file; known by its name when absent'))
    .option('--secret <keys>', 'make these keys secrets, * stands for any characters; may be repeated', collect)
    .option('--plain <keys>', 'these are no secrets although named like some; may be repeated', collect)
    .option('--replace', 'delete the keys that the file has not')
    .option('--dry-run', 'show the difference only')
    .option('--yes', 'do not ask');
  withPublication(withNamespace(command)).action(async (service: string, file: string, options: Options) => {
    const config = await import('../config/index.ts');
    const publication = config.publicationOf(options);
    const target = config.targetOf(service, options.namespace);
    const parsed = await config.readConfigurationFile(cli, file, options.format);
    const remote = await config.remoteOf(cli, target);
    const present = await remote.read();
    const change = config.importChange(parsed, present, options);
    if (parsed.comments > 0) {
      cli.output.progress(`${parsed.comments} comments of the file are not kept: a configuration has none.`);
    }
    const next = config.applyChange(present.own, change);
    const { yes = false, dryRun = false } = options;
    if (!(await config.assertPublish(cli, remote, { present, next, yes, dryRun }))) return;
    config.sayPublished(cli, remote, await config.publishChange(cli, remote, { ...publication, present, change }));
  });
}
