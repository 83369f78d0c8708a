import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The first of these programs on the PATH. */
export function findProgram(names: readonly string[], environment: NodeJS.ProcessEnv): string | undefined {
  const directories = (environment.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  return names.flatMap((name) => directories.map((directory) => join(directory, name))).find(isExecutable);
}

/** Installs what tests need where that can be done without asking anybody: as root on Debian. False where it cannot. */
export function installTools(root: string, environment: NodeJS.ProcessEnv, missing: string): boolean {
  if (process.geteuid?.() !== 0 || findProgram(['apt-get'], environment) === undefined) return false;
  console.log(`${missing} is missing, and some tests need it. Running scripts/install-test-tools.sh:`);
  const script = join(root, 'scripts', 'install-test-tools.sh');
  return spawnSync(script, { stdio: 'inherit', env: environment }).status === 0;
}

/** True for a file that can be run. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
