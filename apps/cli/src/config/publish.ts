import { isVisibleSecret } from '@gatehouse/configuration';
import type { JsonObject } from '@gatehouse/contracts';
import type { Cli } from '../cli.ts';
import { assertConfirmed } from '../confirm.ts';
import { CliError, usageError } from '../errors.ts';
import type { Output } from '../output.ts';
import { count, text } from '../values.ts';
import { applyChange, type Change, conflictOf, diff, touchedKeys } from './change.ts';
import type { PublishOptions } from './options.ts';
import type { Present, Remote } from './remote.ts';
import { changeCount, changeLines, maskedChange } from './value-text.ts';

/** How often a change is put on top of what others published in the meantime. */
const maxTries = 50;

/** The members of a request that the options make; what was not said is not sent. */
export function publicationOf({ message, label = [], at, propose }: PublishOptions): JsonObject {
  const labels = Object.fromEntries(
    label.map((one) => {
      const [, name, value] = /^([^=]+)=(.*)$/s.exec(one) ?? [];
      if (name === undefined) throw usageError(`--label ${one} is not name=value.`, 'write it as --label team=billing');
      return [name, value ?? ''];
    }),
  );
  return { message, labels: label.length === 0 ? undefined : labels, publish_at: at, propose };
}

/**
 * Publishes a change on top of `present`. When others published in the meantime and left the keys of the change alone,
 * it goes on top of theirs; when not, {@link CliError} `cli.conflict` tells both versions.
 */
export async function publishChange(
  cli: Cli,
  remote: Remote,
  { present, change, more }: { present: Present; change: Change; more: JsonObject },
): Promise<JsonObject> {
  let base = present;
  for (let tries = 1; ; tries += 1) {
    try {
      const configuration = applyChange(base.own, change);
      return await remote.publish({ more, parentVersion: base.version, configuration });
    } catch (error) {
      if (!conflictOf(error) || tries === maxTries) throw error;
      const now = await remote.read();
      const touched = touchedKeys(change, present.own, now.own);
      if (touched.length > 0) throw await conflictError(remote, { present, now, touched, paint: cli.output.paint });
      cli.output.progress(`Version ${now.version} came in between and left these keys alone; on top of it …`);
      base = now;
    }
  }
}

/** Somebody else changed the same keys: who, when, what, and what to do. */
export async function conflictError(
  remote: Remote,
  {
    present,
    now,
    touched,
    paint,
  }: { present: Present; now: Present; touched: readonly string[]; paint: Output['paint'] },
): Promise<CliError> {
  const { version, answer } = now;
  const theirs = diff(pick(present.own, touched), pick(now.own, touched));
  const by = `by ${await remote.authorOf(now)} at ${text(answer, 'created_at')}`;
  return new CliError(
    'cli.conflict',
    [
      `You started from version ${present.version}; version ${version} was published ${by} and changed the same:`,
      ...changeLines(theirs, paint),
    ].join('\n'),
    {
      fix: `nothing was published; look at gatehouse config diff ${remote.target.args} ${version}, then run the command again to put yours on top`,
      problem: { parent_version: present.version, latest_version: version, keys: [...touched] },
    },
  );
}

function pick(configuration: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(
    keys.flatMap((key) => (Object.hasOwn(configuration, key) ? [[key, configuration[key]]] : [])),
  );
}

/** Says what became of a publication: a version now, or a proposal that waits for a second person or its time. */
export function sayPublished(cli: Cli, remote: Remote, answer: JsonObject): void {
  cli.output.json(answer);
  const proposal = proposalOf(answer);
  if (!proposal) {
    const secretCount = Object.values(answer['configuration'] ?? {}).filter((value) => isVisibleSecret(value)).length;
    const secrets = secretCount === 0 ? '' : `, ${secretCount} of them secret`;
    const keys = count(Object.keys(answer['configuration'] ?? {}).length, 'key');
    cli.output.line(`Published version ${text(answer, 'version')} of ${remote.target.label}: ${keys}${secrets}.`);
    return;
  }
  const id = text(proposal, 'id');
  const at = text(proposal, 'publish_at');
  const when = at === '' ? '' : ` for ${at}`;
  if (text(proposal, 'state') === 'scheduled') cli.output.line(`Scheduled as ${id}${when}.`);
  else {
    cli.output.line(`Proposed as ${id}${when}. Another person publishes it with:`);
    cli.output.line(`  gatehouse config publish ${remote.target.args} --proposal ${id}`);
  }
}

/** The proposal that an answer holds, when it is not a version. */
function proposalOf(answer: JsonObject): JsonObject | undefined {
  if (typeof answer['version'] === 'number') return undefined;
  return (answer['proposal'] ?? answer) as JsonObject;
}

/**
 * Before a publication: shows what changes; at a terminal asks, elsewhere goes on, except that keys which would go away
 * need `--yes`. False: there is nothing to publish.
 */
export async function assertPublish(
  cli: Cli,
  remote: Remote,
  {
    present,
    next,
    yes = false,
    dryRun = false,
  }: { present: Present; next: JsonObject; yes?: boolean; dryRun?: boolean },
): Promise<boolean> {
  const change = diff(present.own, next);
  if (changeCount(change) === 0) {
    cli.output.line(`Nothing to change: ${remote.target.label} is so already, in version ${present.version}.`);
    cli.output.json({ version: present.version, changed: false });
    return false;
  }
  for (const line of changeLines(change, cli.output.paint)) cli.output.line(line);
  if (dryRun) {
    cli.output.json({ version: present.version, ...maskedChange(change) });
    return false;
  }
  const deleted = Object.keys(change.deleted).length;
  const isAsked = !yes && (deleted > 0 || (cli.terminal.isInteractive() && !cli.output.isJson()));
  if (isAsked) {
    const question = `Publish this on top of version ${present.version} of ${remote.target.label}?`;
    await assertConfirmed(cli, {}, question, `This deletes ${count(deleted, 'key')}, and there is no terminal to ask.`);
  }
  return true;
}
