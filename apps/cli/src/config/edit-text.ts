import type { CliError } from '../errors.ts';
import { oneLine } from '../values.ts';
import type { Present } from './remote.ts';
import type { Target } from './target.ts';
import { valueText } from './value-text.ts';

const mark = '# ! ';

/** The lines above the text in the editor. JSON has no comments. */
export function headOf({ label }: Target, { version }: Present, format: 'yaml' | 'json'): string {
  if (format === 'json') return '';
  return [
    `# ${label}${version === 0 ? ', before its first version' : `, version ${version}`}.`,
    '# Saved as it is, nothing happens. Comments are not kept.',
    '# A secret is shown by its fingerprint: leave it to keep it, or write its new value in its place.',
    '# A new secret:  KEY: {$secret: "value"}',
    '',
    '',
  ].join('\n');
}

/** Below the text: what is inherited, so that nobody has to look elsewhere. */
export function tailOf({ effective, sources }: Present, format: 'yaml' | 'json'): string {
  if (format === 'json') return '';
  const lines = Object.entries(sources).flatMap(([key, source]) => {
    const { kind, namespace } = source as { kind?: string; namespace?: string };
    return kind === 'inherited'
      ? [`#   ${oneLine(key)}: ${valueText(effective[key])}   (${oneLine(namespace ?? '')})`]
      : [];
  });
  return lines.length === 0 ? '' : ['', '# Inherited; a key above wins:', ...lines, ''].join('\n');
}

/** An error as lines on top of the text. */
export function noticeOf(error: CliError): string {
  const lines = [...error.message.split('\n'), ...(error.fix === undefined ? [] : [`→ ${error.fix}`])];
  return lines.map((line) => `${mark}${oneLine(line)}\n`).join('');
}

/** The text without an earlier notice. */
export function withoutNotice(text: string): string {
  const lines = text.split('\n');
  const first = lines.findIndex((line) => !line.startsWith(mark.trim()));
  return lines.slice(first === -1 ? lines.length : first).join('\n');
}
