import type { JsonObject } from '@gatehouse/contracts';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription, withNamespace } from '../config/options.ts';
import { usageError } from '../errors.ts';

/** `gatehouse config types`: a TypeScript type for what instances get. */
export function configTypesCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('types')
    .description('a TypeScript type of the configuration: from the JSON Schema of the namespace, else from its values')
    .argument(serviceArgument, serviceDescription)
    .option('--name <name>', 'of the type; made of service and namespace when absent');
  withNamespace(command).action(async (service: string, options: { namespace: string; name?: string }) => {
    const { remoteOf, targetOf, typescriptName, typescriptType } = await import('../config/index.ts');
    const target = targetOf(service, options.namespace);
    const name = options.name ?? typescriptName(target.service, target.namespace);
    if (!/^[A-Za-z_$][\w$]*$/.test(name)) throw usageError(`"${name}" is no name of a type.`, 'use letters and digits');
    const remote = await remoteOf(cli, target);
    const namespace = await remote.call('');
    const schema = namespace['schema'] as JsonObject | undefined;
    const present = await remote.read(Number(namespace['version']));
    const from = schema ? 'its JSON Schema' : `the values of version ${present.version}`;
    const source = typescriptType({
      name,
      schema,
      configuration: present.effective,
      about: `Configuration of ${target.label}, from ${from}. Made by: gatehouse config types ${target.args}`,
    });
    if (cli.output.isJson()) cli.output.json({ name, source });
    else cli.output.line(source.trimEnd());
  });
}
