import type { ConfigurationChange } from '@gatehouse/configuration';
import type { JsonObject } from '@gatehouse/contracts';
import type { Cli } from '../cli.ts';
import { assertConfirmed } from '../confirm.ts';
import type { Output } from '../output.ts';
import { text } from '../values.ts';
import { sayPublished } from './publish.ts';
import type { Remote } from './remote.ts';
import { changeLines } from './value-text.ts';

/** A proposal for people: who wants what, and the difference it makes. */
export function proposalLines(proposal: JsonObject, author: string, paint: Output['paint']): string[] {
  const restores = text(proposal, 'restores');
  const at = text(proposal, 'publish_at');
  const version = text(proposal, 'version');
  return [
    `${text(proposal, 'id')}: ${text(proposal, 'state')}${version === '' ? '' : ` as version ${version}`}`,
    `by ${author} at ${text(proposal, 'created_at')}${at === '' ? '' : `, for ${at}`}`,
    ...(text(proposal, 'message') === '' ? [] : [text(proposal, 'message')]),
    restores === ''
      ? `on top of version ${text(proposal, 'parent_version')}:`
      : `restores version ${restores} on top of version ${text(proposal, 'parent_version')}:`,
    ...changeLines(proposal['changes'] as unknown as ConfigurationChange, paint),
  ];
}

/** Shows what another person proposed, asks at a terminal, and publishes it. */
export async function publishProposal(
  cli: Cli,
  remote: Remote,
  { id, yes }: { id: string; yes: boolean },
): Promise<void> {
  const path = `/proposals/${encodeURIComponent(id)}`;
  const proposal = await remote.call(path);
  const author = await remote.authorOf({ answer: proposal });
  for (const line of proposalLines(proposal, author, cli.output.paint)) cli.output.line(line);
  if (cli.terminal.isInteractive() && !cli.output.isJson()) {
    await assertConfirmed(cli, { yes }, `Publish this in ${remote.target.label}?`);
  }
  sayPublished(cli, remote, await remote.call(`${path}/publish`, { method: 'POST', body: {} }));
}
