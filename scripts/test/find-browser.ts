import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const macPaths = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** The Chromium for the tests: the one that CHROMIUM names, or the first on the PATH. */
export function findBrowser(environment: NodeJS.ProcessEnv): string | undefined {
  const given = environment.CHROMIUM;
  if (given !== undefined && given !== '') {
    if (!isExecutable(given)) throw new Error(`CHROMIUM is ${given}, which is not a program that can be run.`);
    return given;
  }
  const directories = (environment.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  const candidates = names.flatMap((name) => directories.map((directory) => join(directory, name)));
  return [...candidates, ...(process.platform === 'darwin' ? macPaths : [])].find(isExecutable);
}

/** Finds a Chromium, installing it where that can be done without asking anybody: as root on Debian. */
export function requireBrowser(root: string, environment: NodeJS.ProcessEnv): string {
  const found = findBrowser(environment);
  if (found !== undefined) return found;
  const script = join(root, 'scripts', 'install-test-tools.sh');
  const hasAptGet = (environment.PATH ?? '').split(delimiter).some((path) => isExecutable(join(path, 'apt-get')));
  if (process.geteuid?.() === 0 && hasAptGet) {
    console.log('Chromium is missing, and some tests need it. Running scripts/install-test-tools.sh:');
    const { status } = spawnSync(script, { stdio: 'inherit', env: environment });
    const installed = status === 0 ? findBrowser(environment) : undefined;
    if (installed !== undefined) return installed;
  }
  throw new Error(
    'Some tests need Chromium, which is not installed. Run:\n\n  sudo scripts/install-test-tools.sh\n\nor set CHROMIUM to the path of one, or leave these tests out: npm test -- --without-browser',
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
