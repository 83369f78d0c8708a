import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription, withNamespace } from '../config/options.ts';
import { usageError } from '../errors.ts';
import { text } from '../values.ts';

interface Options {
  namespace: string;
  all?: boolean;
  withdraw?: boolean;
}

/** `gatehouse config proposals`: what waits for a second person or its time. */
export function configProposalsCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command('proposals')
    .description('what waits for a second person or its time; one by itself with what it would change')
    .argument(serviceArgument, serviceDescription)
    .argument('[proposal]', 'its id')
    .option('--all', 'also what was published, withdrawn or failed')
    .option('--withdraw', 'take the proposal back');
  withNamespace(command).action(async (service: string, id: string | undefined, options: Options) => {
    const { proposalLines, remoteOf, targetOf } = await import('../config/index.ts');
    const { all = false, withdraw = false } = options;
    if (withdraw && id === undefined)
      throw usageError('Say which to withdraw.', 'name its id, as config proposals shows');
    const remote = await remoteOf(cli, targetOf(service, options.namespace));
    if (id === undefined) {
      const proposals = await remote.proposals({ all });
      cli.output.table(
        proposals,
        [
          { heading: 'proposal', value: (one) => text(one, 'id') },
          { heading: 'state', value: (one) => text(one, 'state') },
          { heading: 'proposed', value: (one) => text(one, 'created_at') },
          { heading: 'by', value: (one) => text(one, 'created_by') },
          { heading: 'for', value: (one) => text(one, 'publish_at') },
          { heading: 'restores', value: (one) => text(one, 'restores') },
          { heading: 'version', value: (one) => text(one, 'version') },
          { heading: 'message', value: (one) => text(one, 'message') },
        ],
        `Nothing waits in ${remote.target.label}.`,
      );
      return;
    }
    const path = `/proposals/${encodeURIComponent(id)}`;
    if (withdraw) {
      cli.output.json(await remote.call(`${path}/withdraw`, { method: 'POST', body: {} }));
      cli.output.line(`Withdrew ${id}.`);
      return;
    }
    const proposal = await remote.call(path);
    cli.output.json(proposal);
    const author = await remote.authorOf({ answer: proposal });
    for (const line of proposalLines(proposal, author, cli.output.paint)) cli.output.line(line);
  });
}
