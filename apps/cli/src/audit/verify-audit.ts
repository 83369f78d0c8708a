import { createReadStream } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Api } from '../api.ts';
import type { Cli } from '../cli.ts';
import { CliError, ServerRefusal, usageError } from '../errors.ts';
import { type CheckpointKeys, readCheckpointKeys } from './checkpoint.ts';
import { linesOf } from './lines.ts';
import { readSavedCheckpoint, type SavedCheckpoint, savedCheckpointText } from './saved-checkpoint.ts';
import { type Verification, verifyChain } from './verify-chain.ts';

/** Options of `gatehouse audit verify`. */
export interface VerifyOptions {
  entries?: string;
  checkpoints?: string;
  keys?: string;
  checkpoint?: string;
  saveCheckpoint?: string;
}

/** Reads entries, checkpoints and keys from the server or from files, verifies them, and tells the result. */
export async function verifyAudit(cli: Cli, options: VerifyOptions): Promise<void> {
  const { output } = cli;
  const saved = options.checkpoint === undefined ? undefined : await readSaved(options.checkpoint);
  const source =
    options.entries === undefined ? await fromServer(cli, options) : await fromFiles(options, options.entries);
  const result = await verifyChain(source.lines, {
    checkpoints: source.checkpoints,
    keys: source.keys,
    ...(saved ? { earlierCheckpoint: saved } : {}),
  });
  const summary = summaryOf(result);
  if (result.firstProblem) {
    throw new CliError('cli.not_verified', result.firstProblem.text, {
      fix: result.count === 0 ? 'no entry before it held' : `the ${result.count} entries before it hold`,
      problem: summary,
    });
  }
  output.line(wholeText(result));
  output.json(summary);
  if (options.saveCheckpoint !== undefined) {
    if (!result.lastCheckpoint)
      throw new CliError('cli.file', 'There is no checkpoint to save yet.', { fix: 'try again in a minute' });
    await save(options.saveCheckpoint, savedCheckpointText(result.lastCheckpoint));
    output.line(
      `Checkpoint ${result.lastCheckpoint.number} is kept in ${options.saveCheckpoint}. Keep it away from the server.`,
    );
  } else if (!saved) {
    output.progress(
      'Only a checkpoint kept elsewhere shows that the end was cut off: --save-checkpoint, next time --checkpoint.',
    );
  }
}

interface Source {
  lines: AsyncIterable<string>;
  checkpoints: AsyncIterable<string> | readonly string[];
  keys: CheckpointKeys;
}

/** The newest checkpoint is asked for before the entries: what it covers is then certainly in the export. */
async function fromServer(cli: Cli, options: VerifyOptions): Promise<Source> {
  if (options.checkpoints !== undefined)
    throw usageError('--checkpoints goes with --entries.', 'leave it out to ask the server');
  const api = await cli.api();
  cli.output.progress(`Reading the audit trail of ${api.server} …`);
  const newest = await newestNumber(api);
  const keys =
    options.keys === undefined ? readCheckpointKeys(await api.call('/v1/audit/keys')) : await readKeys(options.keys);
  return { lines: linesOf(api.stream('/v1/audit/export')), checkpoints: checkpointsUpTo(api, newest), keys };
}

async function fromFiles(options: VerifyOptions, entries: string): Promise<Source> {
  if (options.checkpoints !== undefined && options.keys === undefined) {
    throw usageError(
      '--checkpoints needs --keys.',
      'save them from /v1/audit/keys, best on another day than the entries',
    );
  }
  return {
    lines: linesOf(entries === '-' ? process.stdin : readable(entries)),
    checkpoints: options.checkpoints === undefined ? [] : linesOf(readable(options.checkpoints)),
    keys: options.keys === undefined ? new Map() : await readKeys(options.keys),
  };
}

async function newestNumber(api: Api): Promise<number> {
  try {
    return Number((await api.call('/v1/audit/checkpoints/latest'))['number']);
  } catch (error) {
    if (error instanceof ServerRefusal && error.serverCode === 'audit.no_checkpoint') return 0;
    throw error;
  }
}

/** Checkpoints in order, a page at a time; later ones than `newest` may speak of entries the export does not have. */
async function* checkpointsUpTo(api: Api, newest: number): AsyncGenerator<string> {
  let cursor: string | undefined;
  let number = 0;
  while (number < newest) {
    const page = await api.call('/v1/audit/checkpoints', { query: { limit: 200, cursor } });
    for (const item of page['items'] as unknown as { jws: string }[]) {
      number += 1;
      if (number <= newest) yield item.jws;
    }
    if (typeof page['next_cursor'] !== 'string') return;
    cursor = page['next_cursor'];
  }
}

async function* readable(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(file) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw fileError(file, 'read', error);
  }
}

async function readKeys(file: string): Promise<CheckpointKeys> {
  const text = await readText(file);
  try {
    return readCheckpointKeys(text);
  } catch (error) {
    throw new CliError('cli.file', `${file} is not a JWK set: ${(error as Error).message}`, {
      fix: 'save it from /v1/audit/keys',
    });
  }
}

async function readSaved(file: string): Promise<SavedCheckpoint> {
  const saved = readSavedCheckpoint(await readText(file));
  if (saved) return saved;
  throw new CliError('cli.file', `${file} is not a saved checkpoint.`, {
    fix: 'make one with: gatehouse audit verify --save-checkpoint <file>',
  });
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw fileError(file, 'read', error);
  }
}

/** Replaces the file in one step: a crash leaves the old checkpoint or the new one. */
async function save(file: string, text: string): Promise<void> {
  try {
    await writeFile(`${file}.tmp`, text, { flush: true });
    await rename(`${file}.tmp`, file);
  } catch (error) {
    throw fileError(file, 'written', error);
  }
}

function fileError(file: string, how: 'read' | 'written', error: unknown): CliError {
  const { code } = error as NodeJS.ErrnoException;
  return new CliError(
    'cli.file',
    `${file} ${code === 'ENOENT' && how === 'read' ? 'does not exist' : `cannot be ${how} (${code})`}.`,
    {
      fix: 'check the path and its permissions',
      cause: error,
    },
  );
}

function wholeText({ count, checkpoints, lastCheckpoint }: Verification): string {
  if (count === 0) return 'The audit trail is whole; it has no sealed entry yet.';
  const signed = lastCheckpoint
    ? ` ${plural(checkpoints, 'checkpoint')}; the last one, of ${lastCheckpoint.at}, covers entry ${lastCheckpoint.sequence}.`
    : ' No checkpoint was verified: the hashes agree with each other, and nothing is signed.';
  const rest =
    lastCheckpoint && lastCheckpoint.sequence < count
      ? ` ${plural(count - lastCheckpoint.sequence, 'entry', 'entries')} after it not yet signed.`
      : '';
  return `The audit trail is whole: ${plural(count, 'entry', 'entries')}.${signed}${rest}`;
}

function plural(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

function summaryOf({ ok, count, head, checkpoints, lastCheckpoint, firstProblem }: Verification) {
  return {
    ok,
    count,
    head: { ...head },
    checkpoints,
    ...(lastCheckpoint
      ? {
          last_checkpoint: {
            number: lastCheckpoint.number,
            sequence: lastCheckpoint.sequence,
            hash: lastCheckpoint.hash,
            at: lastCheckpoint.at,
          },
        }
      : {}),
    ...(firstProblem ? { first_problem: { ...firstProblem } } : {}),
  };
}
