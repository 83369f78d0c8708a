import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { CliError, usageError } from './errors.ts';
import type { OutputStream } from './output.ts';

/** Longest password or secret read unless the caller says otherwise, bytes. */
const maxSecretBytes = 4096;

/** The keyboard. */
export type InputStream = NodeJS.ReadableStream & { isTTY?: boolean; setRawMode?(mode: boolean): unknown };

/** Asks at the terminal, and reads secrets from files and pipes. Questions go to stderr, so that stdout stays the answer. */
export function createTerminal({ stdin, stderr }: { stdin: InputStream; stderr: OutputStream }) {
  const isInteractive = () => Boolean(stdin.isTTY && stderr.isTTY);

  const ask = async (question: string): Promise<string> => {
    const lines = createInterface({ input: stdin, output: stderr as NodeJS.WritableStream, terminal: false });
    try {
      stderr.write(question);
      const line = await Promise.race([lines[Symbol.asyncIterator]().next(), interruption(lines)]);
      if (line.done) throw new CliError('cli.interrupted', 'The input ended before an answer.');
      return line.value.trim();
    } finally {
      lines.close();
    }
  };

  /** Reads a line without showing it. */
  const askHidden = async (question: string): Promise<string> => {
    stderr.write(question);
    stdin.setRawMode?.(true);
    stdin.setEncoding('utf8');
    stdin.resume();
    try {
      return await hiddenLine(stdin);
    } finally {
      stdin.setRawMode?.(false);
      stdin.pause();
      stderr.write('\n');
    }
  };

  return {
    isInteractive,
    ask,

    /** True when the user says yes. */
    async confirm(question: string): Promise<boolean> {
      return /^y(es)?$/i.test(await ask(`${question} [y/N] `));
    },

    /** A secret: from `file` (`-` is stdin), else asked for; never from the command line, which everyone can read. */
    async readSecret({
      file,
      question,
      option,
      twice = false,
      what = 'password',
      maxBytes = maxSecretBytes,
    }: {
      file: string | undefined;
      question: string;
      option: string;
      twice?: boolean;
      /** What it is, for messages. */
      what?: string;
      maxBytes?: number;
    }) {
      if (file !== undefined) return secretFrom(file, stdin, { option, maxBytes });
      if (!isInteractive()) {
        throw usageError(
          `There is no terminal to ask for the ${what}.`,
          `give it by ${option} <file>, or on stdin by ${option} -`,
        );
      }
      const secret = await askHidden(`${question}: `);
      if (secret === '') throw usageError('Nothing was typed.', 'run the command again');
      if (twice && (await askHidden(`${question}, again: `)) !== secret) {
        throw usageError('The two are not the same.', 'run the command again');
      }
      return secret;
    },

    /** All of stdin as UTF-8; a byte more than `maxBytes` at most is taken, so that the caller sees that it is too much. */
    readText: (maxBytes: number): Promise<string> => textOf(stdin, maxBytes),
  };
}

/** What {@link createTerminal} gives. */
export type Terminal = ReturnType<typeof createTerminal>;

function interruption(lines: ReturnType<typeof createInterface>): Promise<never> {
  return new Promise((_resolve, reject) => {
    lines.once('SIGINT', () => reject(new CliError('cli.interrupted', 'Interrupted; nothing was changed.')));
  });
}

/** A line typed in raw mode: Enter ends it, Backspace and Ctrl-U correct it, Ctrl-C and Ctrl-D on an empty line give up. */
function hiddenLine(stdin: InputStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed: string[] = [];
    const finish = (end: () => void) => {
      stdin.removeListener('data', onData);
      stdin.removeListener('end', onEnd);
      end();
    };
    const giveUp = () => finish(() => reject(new CliError('cli.interrupted', 'Interrupted; nothing was changed.')));
    const onEnd = giveUp;
    const onData = (chunk: string | Buffer) => {
      for (const character of String(chunk)) {
        if (character === '\r' || character === '\n') return finish(() => resolve(typed.join('')));
        if (character === '\u0003' || (character === '\u0004' && typed.length === 0)) return giveUp();
        if (character === '\u007f' || character === '\b') typed.pop();
        else if (character === '\u0015') typed = [];
        else if (character >= ' ') typed.push(character);
      }
    };
    stdin.on('data', onData);
    stdin.on('end', onEnd);
  });
}

async function secretFrom(
  file: string,
  stdin: InputStream,
  { option, maxBytes }: { option: string; maxBytes: number },
): Promise<string> {
  let content: string;
  if (file === '-') content = await textOf(stdin, maxBytes * 2);
  else {
    try {
      content = await readFile(file, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new CliError(
        'cli.file',
        `${option}: ${file} ${code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`}.`,
        {
          fix: 'check the path and its permissions',
        },
      );
    }
  }
  const secret = content.replace(/\r?\n$/, '');
  if (secret === '')
    throw new CliError('cli.file', `${option}: ${file === '-' ? 'stdin' : file} is empty.`, {
      fix: 'write the value into it',
    });
  if (Buffer.byteLength(secret) > maxBytes) {
    throw new CliError('cli.file', `${option}: the value is longer than ${maxBytes} bytes.`, {
      fix: 'check that it is the right file',
    });
  }
  return secret;
}

async function textOf(stdin: InputStream, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stdin) {
    chunks.push(Buffer.from(chunk));
    length += chunk.length;
    if (length > maxBytes) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}
