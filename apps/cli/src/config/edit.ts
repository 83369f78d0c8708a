import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatConfiguration } from '@gatehouse/configuration/formats';
import type { JsonObject } from '@gatehouse/contracts';
import type { Cli } from '../cli.ts';
import { assertConfirmed } from '../confirm.ts';
import { CliError, ServerRefusal, usageError } from '../errors.ts';
import { text } from '../values.ts';
import { changeBetween, diff } from './change.ts';
import { headOf, noticeOf, tailOf, withoutNotice } from './edit-text.ts';
import { publishChange } from './publish.ts';
import { parse, readText } from './read-file.ts';
import type { Remote } from './remote.ts';
import { runEditor } from './run-editor.ts';
import { doubtfulKeys, keepSecrets } from './secrecy.ts';
import { changeCount, changeLines } from './value-text.ts';

/** How `edit` works on a text. */
export interface EditOptions {
  readonly format: 'yaml' | 'json';
  /** Publish without asking. */
  readonly yes: boolean;
  /** What `publicationOf` made of the options. */
  readonly more: JsonObject;
}

/**
 * Opens the configuration in the user's editor and publishes what comes back; undefined when nothing was changed. The
 * text is never lost: what cannot be published is opened again with the reason on top, or stays in a file that is named.
 */
export async function editConfiguration(
  cli: Cli,
  remote: Remote,
  { format, yes, more }: EditOptions,
): Promise<JsonObject | undefined> {
  if (!yes && !cli.terminal.isInteractive()) {
    throw usageError('There is no terminal to ask before it is published.', 'add --yes');
  }
  /** What the text was made from: the change is what differs from it. */
  const base = await remote.read();
  /** What the change goes on top of: the newest version that the user was told of. */
  let top = base;
  const original =
    headOf(remote.target, base, format) + formatConfiguration(format, base.own).text + tailOf(base, format);

  /** Publishes an edited text; a problem that editing can solve is returned, any other thrown. */
  const attempt = async (edited: string, name: string): Promise<{ answer?: JsonObject } | { problem: CliError }> => {
    try {
      const parsed = parse(format, withoutNotice(edited), name);
      const configuration = keepSecrets(parsed.configuration, base.own);
      const change = diff(base.own, configuration);
      if (changeCount(change) === 0) return {};
      for (const line of changeLines(change, cli.output.paint)) cli.output.line(line);
      for (const key of doubtfulKeys(configuration, base.own)) {
        cli.output.warning(
          `${key} looks like a secret, and will be readable: write  ${key}: {$secret: …}  if it is one`,
        );
      }
      await assertConfirmed(cli, { yes }, `Publish this as a new version of ${remote.target.label}?`);
      const answer = await publishChange(cli, remote, {
        more,
        present: top,
        change: changeBetween(base.own, configuration),
      });
      return { answer };
    } catch (error) {
      if (!(error instanceof CliError) || !isSolvedByEditing(error)) throw error;
      if (text(error.problem, 'code') === 'cli.conflict') top = await remote.read();
      return { problem: error };
    }
  };

  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-edit-'));
  const file = join(folder, `${remote.target.service}-${remote.target.namespace}.${format}`);
  let content = original;
  try {
    for (;;) {
      await writeFile(file, content, { mode: 0o600 });
      await runEditor(cli.env, file);
      const edited = await readText(file);
      const isGivenUp = edited === content;
      const result = edited === original ? {} : await attempt(edited, file);
      if (!('problem' in result)) {
        await rm(folder, { recursive: true, force: true });
        return result.answer;
      }
      if (isGivenUp || !cli.terminal.isInteractive() || cli.output.isJson()) throw result.problem;
      cli.output.error(result.problem);
      if (!(await cli.terminal.confirm('Open the editor again, with this on top?'))) throw notPublished();
      content = noticeOf(result.problem) + withoutNotice(edited);
    }
  } catch (error) {
    if (error instanceof CliError) Object.assign(error.problem, { kept_file: file });
    cli.output.warning(
      `your text is kept in ${file}; to publish it: gatehouse config publish ${remote.target.args} --file ${file}`,
    );
    throw error;
  }
}

/** What the text says is wrong, or others changed the same; not a server that is away or a login that has ended. */
function isSolvedByEditing(error: CliError): boolean {
  if (error instanceof ServerRefusal) return [400, 409, 413, 422].includes(error.status);
  return ['cli.configuration', 'cli.conflict'].includes(text(error.problem, 'code'));
}

function notPublished(): CliError {
  return new CliError('cli.not_confirmed', 'Nothing was published.');
}
