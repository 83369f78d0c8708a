import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { CliError } from '../errors.ts';

/** Runs `$VISUAL`, else `$EDITOR`, else `vi` on a file; as git does, by a shell, so that it may have arguments. */
export async function runEditor(env: Readonly<Record<string, string | undefined>>, file: string): Promise<void> {
  const editor = env['VISUAL'] || env['EDITOR'] || 'vi';
  // Ctrl-C in the editor is the editor's: it reaches us too, and would leave the text behind without a word.
  const ignore = () => undefined;
  process.on('SIGINT', ignore);
  try {
    const child = spawn('sh', ['-c', `${editor} "$1"`, 'gatehouse', file], { stdio: 'inherit', env: { ...env } });
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    if (code === 0) return;
    throw new CliError('cli.file', `The editor (${editor}) ended with ${code ?? signal}; nothing was published.`, {
      fix: code === 127 ? 'set VISUAL or EDITOR to one that is installed' : 'run the command again',
    });
  } finally {
    process.off('SIGINT', ignore);
  }
}
