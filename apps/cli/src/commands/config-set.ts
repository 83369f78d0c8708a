import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import {
  type PublishOptions,
  serviceArgument,
  serviceDescription,
  withNamespace,
  withPublication,
} from '../config/options.ts';
import { collect } from '../values.ts';

interface Options extends PublishOptions {
  namespace: string;
  secret?: string[];
  secretFile?: string[];
  jsonValue?: string[];
}

/** `gatehouse config set`: sets keys, and publishes that as a new version. */
export function configSetCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('set')
    .description('set keys; all of them together are a new version')
    .argument(serviceArgument, serviceDescription)
    .argument('[KEY=VALUE...]', 'texts; a key that is a secret stays one')
    .option('--secret <key>', 'set a secret: its value is asked for; may be repeated', collect)
    .option('--secret-file <key=file>', 'set a secret to what a file holds, - is stdin; may be repeated', collect)
    .option(
      '--json-value <key=json>',
      'set a number, true, false, null, a list or an object; may be repeated',
      collect,
    );
  withPublication(withNamespace(command)).action(async (service: string, plain: string[], options: Options) => {
    const {
      applyChange,
      changeCount,
      diff,
      publicationOf,
      publishChange,
      readAssignments,
      remoteOf,
      sayPublished,
      targetOf,
    } = await import('../config/index.ts');
    const { secret = [], secretFile = [], jsonValue: json = [] } = options;
    const more = publicationOf(options);
    const remote = await remoteOf(cli, targetOf(service, options.namespace));
    const present = await remote.read();
    const change = await readAssignments(cli, present.own, { plain, json, secret, secretFile });
    const next = applyChange(present.own, change);
    if (changeCount(diff(present.own, next)) === 0) {
      cli.output.line(`Nothing to change: ${remote.target.label} is so already, in version ${present.version}.`);
      cli.output.json({ version: present.version, changed: false });
      return;
    }
    sayPublished(cli, remote, await publishChange(cli, remote, { more, present, change }));
  });
}
