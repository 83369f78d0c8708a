import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The repository's root. */
export const root: string = join(import.meta.dirname, '..');

/** Paths of the files git knows or would know (not ignored), relative to the root, that match. */
export function listFiles(pattern: RegExp): string[] {
  const output = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  return output
    .split('\n')
    .filter((path) => path !== '' && pattern.test(path) && existsSync(join(root, path)))
    .sort();
}

/** A file's text. */
export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}
