import { type Command, Option } from 'commander';
import type { Cli } from '../cli.ts';
import {
  type PublishOptions,
  serviceArgument,
  serviceDescription,
  withNamespace,
  withPublication,
} from '../config/options.ts';

interface Options extends PublishOptions {
  namespace: string;
  format: 'yaml' | 'json';
  yes?: boolean;
}

/** `gatehouse config edit`: the configuration in an editor. */
export function configEditCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('edit')
    .description('change the configuration in $VISUAL or $EDITOR; secrets are masked, and kept when left alone')
    .argument(serviceArgument, serviceDescription)
    .addOption(new Option('--format <format>', 'of the text').choices(['yaml', 'json']).default('yaml'))
    .option('--yes', 'publish without asking');
  withPublication(withNamespace(command)).action(async (service: string, options: Options) => {
    const { editConfiguration, publicationOf, remoteOf, sayPublished, targetOf } = await import('../config/index.ts');
    const more = publicationOf(options);
    const remote = await remoteOf(cli, targetOf(service, options.namespace));
    const { format, yes = false } = options;
    const answer = await editConfiguration(cli, remote, { more, format, yes });
    if (answer) sayPublished(cli, remote, answer);
    else {
      cli.output.line('Nothing was changed.');
      cli.output.json({ changed: false });
    }
  });
}
