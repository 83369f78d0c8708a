import { findProgram, installTools, isExecutable } from './install-tools.ts';

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
  return findProgram(names, environment) ?? (process.platform === 'darwin' ? macPaths.find(isExecutable) : undefined);
}

/** Finds a Chromium, installing it where that can be done without asking anybody: as root on Debian. */
export function requireBrowser(root: string, environment: NodeJS.ProcessEnv): string {
  const found = findBrowser(environment);
  if (found !== undefined) return found;
  const installed = installTools(root, environment, 'Chromium') ? findBrowser(environment) : undefined;
  if (installed !== undefined) return installed;
  throw new Error(
    'Some tests need Chromium, which is not installed. Run:\n\n  sudo scripts/install-test-tools.sh\n\nor set CHROMIUM to the path of one, or leave these tests out: npm test -- --without-browser',
  );
}
