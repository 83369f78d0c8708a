/** What the demo prints: steps in plain words, colours on a terminal only. */
import { styleText } from 'node:util';

/** Prints steps and details. */
export interface Report {
  step(title: string): void;
  /** A sentence about what happened. */
  say(text: string): void;
  /** Something that travelled or is stored, under a name. */
  show(name: string, value: string): void;
  /** Lines as they are, such as a hex dump or the output of a program. */
  lines(text: string): void;
  /** Something that was checked and is so. */
  good(text: string): void;
  failure(text: string): void;
}

type Style = Parameters<typeof styleText>[0];

/** Makes the report for a stream. */
export function createReport(stream: NodeJS.WriteStream): Report {
  const style = (format: Style, text: string) => styleText(format, text, { stream, validateStream: true });
  const write = (text: string) => void stream.write(`${text}\n`);
  let number = 0;
  return {
    step(title) {
      number += 1;
      write(`\n${style(['bold', 'cyan'], `${number}. ${title}`)}`);
    },
    say: (text) => write(`   ${text}`),
    show: (name, value) => write(`   ${style('dim', `${name}:`)} ${value}`),
    lines: (text) => write(style('dim', text.trimEnd().replaceAll(/^/gm, '     '))),
    good: (text) => write(`   ${style('green', '✓')} ${text}`),
    failure: (text) => write(`\n${style(['bold', 'red'], 'Not as told:')} ${text}`),
  };
}

/** A token or sealed message, short enough to be of no use to a reader. */
export function shortened(text: string): string {
  return `${text.slice(0, 16)}… (${text.length} characters)`;
}

/** A part of a token (0 = header, 1 = claims) as JSON. */
export function decodedPart(token: string, part: number): Record<string, unknown> {
  const text = Buffer.from(token.split('.')[part] ?? '', 'base64url').toString('utf8');
  return JSON.parse(text) as Record<string, unknown>;
}

/** The first bytes as a hex dump, as `hexdump -C` writes it. */
export function hexDump(bytes: Uint8Array, maxLines = 4): string {
  const lines: string[] = [];
  for (let offset = 0; offset < bytes.length && lines.length < maxLines; offset += 16) {
    const row = Buffer.from(bytes.subarray(offset, offset + 16));
    const hex = row.toString('hex').replaceAll(/(..)/g, '$1 ').padEnd(48);
    const text = row.toString('latin1').replaceAll(/[^\x20-\x7e]/g, '.');
    lines.push(`${offset.toString(16).padStart(8, '0')}  ${hex} |${text}|`);
  }
  if (bytes.length > maxLines * 16) lines.push(`… ${bytes.length} bytes in all`);
  return lines.join('\n');
}
