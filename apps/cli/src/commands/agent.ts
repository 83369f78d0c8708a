import type { Command } from 'commander';
import { addAgentOptions, agentOptions, type GivenAgentOptions } from '../agent/agent-options.ts';
import type { Cli } from '../cli.ts';
import { ProgramEnd } from '../errors.ts';

interface Options extends GivenAgentOptions {
  config: string;
  check?: boolean;
  once?: boolean;
}

/** `gatehouse agent`: keeps files and programs of a host up to date with the configuration of a service. */
export function agentCommand(parent: Command, cli: Cli): void {
  const agent = addAgentOptions(
    parent
      .command('agent')
      .description('keep files and programs of this host up to date with the configuration of a service')
      .option('--config <file>', 'what to keep up to date', 'agent.yaml')
      .option('--check', 'only read the file and its templates, and name what is wrong')
      .option('--once', 'write the files and end; run no command'),
  ).action(async (options: Options, command: Command) => {
    const { readAgentFile } = await import('../agent/agent-file.ts');
    const file = await readAgentFile(options.config);
    if (options.check) {
      const files = file.targets.flatMap((target) => target.files).length;
      cli.output.json({
        service: file.service,
        namespaces: file.namespaces,
        targets: file.targets.map(({ name }) => name),
        files,
      });
      cli.output.line(`${options.config} is right: ${count(file.targets.length, 'target')}, ${count(files, 'file')}.`);
      return;
    }
    const { runAgent } = await import('../agent/run-agent.ts');
    const end = await runAgent({
      agent: await agentOptions(cli, options, {
        service: file.service,
        globalUrl: command.optsWithGlobals<{ url?: string }>().url,
        file,
      }),
      file,
      once: options.once ?? false,
      verbose: options.verbose ?? false,
      env: cli.env,
      now: cli.now,
      random: Math.random,
    });
    throw new ProgramEnd(end);
  });
  rotateKeysCommand(agent, cli);
}

/** `gatehouse agent rotate-keys`: new keys for the agent of a state folder, now. */
function rotateKeysCommand(parent: Command, cli: Cli): void {
  parent
    .command('rotate-keys')
    .description('replace the keys of the agent of a state folder; one that runs takes the new ones over')
    .option('--service <service>', 'whose agent: <organization>.<service>; or name it by --config of agent')
    .action(async (options: { service?: string }, command: Command) => {
      const given = command.optsWithGlobals<Options & { service?: string; url?: string }>();
      const { readAgentFile } = await import('../agent/agent-file.ts');
      const file = options.service === undefined ? await readAgentFile(given.config) : undefined;
      const { rotateAgentKeys } = await import('../agent/rotate-agent-keys.ts');
      const agentId = await rotateAgentKeys(
        await agentOptions(cli, given, {
          service: options.service ?? file?.service ?? '',
          globalUrl: given.url,
          ...(file === undefined ? {} : { file }),
        }),
      );
      cli.output.json({ agent_id: agentId });
      cli.output.line(`${agentId} has new keys.`);
    });
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`;
}
