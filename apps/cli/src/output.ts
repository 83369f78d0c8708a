import { styleText } from 'node:util';
import type { JsonObject } from '@gatehouse/contracts';
import { CliError, type ExitCode, ServerRefusal } from './errors.ts';
import { oneLine, text } from './values.ts';

/** Where the program writes. */
export interface OutputStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** Colours and weights by meaning. */
export type Paint = 'add' | 'change' | 'remove' | 'quiet' | 'strong' | 'bad';

const styles: Readonly<Record<Paint, Parameters<typeof styleText>[0]>> = {
  add: 'green',
  change: 'yellow',
  remove: 'red',
  quiet: 'dim',
  strong: 'bold',
  bad: ['bold', 'red'],
};

/** A column of a table: its heading and the text of an item. */
export interface Column<T> {
  readonly heading: string;
  readonly value: (item: T) => string;
}

/**
 * What the program says. Answers go to stdout, progress and errors to stderr.
 * People at a terminal get tables and colours (no colours with NO_COLOR, https://no-color.org), a pipe gets plain lines
 * with tabs, `--json` gets one JSON document.
 */
export function createOutput({
  stdout,
  stderr,
  env,
  isJson,
}: {
  stdout: OutputStream;
  stderr: OutputStream;
  env: Readonly<Record<string, string | undefined>>;
  isJson: () => boolean;
}) {
  const plain = Boolean(env['NO_COLOR']) || env['TERM'] === 'dumb';
  const painter = (stream: OutputStream) => (paint: Paint, text: string) =>
    stream.isTTY && !plain ? styleText(styles[paint], text, { validateStream: false }) : text;
  const paint = painter(stdout);
  const paintError = painter(stderr);

  const json = (value: unknown): void => {
    if (isJson()) stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
  };

  return {
    paint,
    isJson,
    /** The answer as JSON. Silent without `--json`. */
    json,
    /** A line of the answer, for people. Silent with `--json`. */
    line: (text = ''): void => {
      if (!isJson()) stdout.write(`${text}\n`);
    },
    /** A text as it is in a pipe; at a terminal without what could steer it (CWE-150), lines and tabs kept. */
    safe: (text: string): string =>
      stdout.isTTY
        ? text
            .split(/(?<=[\n\t])/)
            .map(safePart)
            .join('')
        : text,
    /** What is going on, for people. */
    progress: (text: string): void => {
      if (!isJson()) stderr.write(`${paintError('quiet', text)}\n`);
    },
    /** Something to notice that does not stop the work. */
    warning: (text: string): void => {
      if (!isJson()) stderr.write(`gatehouse: ${oneLine(text)}\n`);
    },
    /** A list: a table at a terminal, tab-separated lines in a pipe, `{items}` with `--json`. */
    table: <T>(items: readonly T[], columns: readonly Column<T>[], empty: string): void => {
      if (isJson()) json({ items });
      else if (!stdout.isTTY) {
        for (const item of items) stdout.write(`${columns.map(({ value }) => oneLine(value(item))).join('\t')}\n`);
      } else if (items.length === 0) stdout.write(`${paint('quiet', empty)}\n`);
      else stdout.write(tableText(items, columns, (text) => paint('strong', text)));
    },
    /** The end of the program by an error. */
    error: (error: unknown): ExitCode => {
      const known = error instanceof CliError ? error : unexpected(error);
      if (isJson()) stderr.write(`${JSON.stringify(known.problem, undefined, 2)}\n`);
      else stderr.write(errorText(known, (text) => paintError('bad', text)));
      return known.exit;
    },
  };
}

/** What {@link createOutput} gives. */
export type Output = ReturnType<typeof createOutput>;

/** A part that ends with its line break or tab. */
function safePart(part: string): string {
  const end = /[\n\t]$/.exec(part)?.[0] ?? '';
  return oneLine(part.slice(0, part.length - end.length)) + end;
}

const graphemes = new Intl.Segmenter();

/** Columns of a text at a terminal; exact for all but East Asian wide characters. */
function widthOf(text: string): number {
  return Array.from(graphemes.segment(text)).length;
}

function tableText<T>(items: readonly T[], columns: readonly Column<T>[], heading: (text: string) => string): string {
  const rows = items.map((item) => columns.map(({ value }) => oneLine(value(item))));
  const widths = columns.map((column, index) =>
    Math.max(column.heading.length, ...rows.map((row) => widthOf(row[index] ?? ''))),
  );
  const lineOf = (cells: readonly string[]) =>
    cells
      .map((cell, index) =>
        index === cells.length - 1 ? cell : cell + ' '.repeat((widths[index] ?? 0) - widthOf(cell)),
      )
      .join('  ');
  return [heading(lineOf(columns.map((column) => column.heading.toUpperCase()))), ...rows.map(lineOf), ''].join('\n');
}

function errorText(error: CliError, bad: (text: string) => string): string {
  const [first, ...more] = error.message.split('\n');
  // Faults found by this program are its message already; of a server's one fault, the message lacks only the fix.
  const isTold = !(error instanceof ServerRefusal) || !Array.isArray(error.problem['errors']);
  const errors = isTold ? [] : (error.problem['errors'] as JsonObject[]);
  const fix = error.fix ?? (errors.length === 1 && errors[0] ? text(errors[0], 'fix') : '');
  const request = text(error.problem, 'request_id');
  return [
    `${bad('gatehouse:')} ${oneLine(first ?? '')}`,
    ...more.map((line) => `  ${oneLine(line)}`),
    ...(errors.length > 1 ? errors.map(fieldText) : []),
    ...(fix === '' ? [] : [`  → ${oneLine(fix)}`]),
    ...(request === '' ? [] : [`  request ${oneLine(request)}`]),
    '',
  ].join('\n');
}

function fieldText(error: JsonObject): string {
  const fix = text(error, 'fix');
  return oneLine(`  ${text(error, 'field')} ${text(error, 'rule')}${fix === '' ? '' : `; ${fix}`}`);
}

/** A mistake in this program: its stack helps whoever reports it, and holds no secret of the user. */
function unexpected(error: unknown): CliError {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new CliError('cli.internal', stack, { fix: 'this is a mistake in gatehouse; please report it', cause: error });
}
