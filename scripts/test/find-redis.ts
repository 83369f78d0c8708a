import { readFileSync } from 'node:fs';
import { findProgram, installTools } from './install-tools.ts';

/** Tests with a Redis import what starts one. */
export function needsRedis(path: string): boolean {
  return readFileSync(path, 'utf8').includes('testing/redis-server.ts');
}

/** Sees to it that there is a redis-server, installing it where that can be done without asking anybody. */
export function requireRedis(root: string, environment: NodeJS.ProcessEnv): void {
  const isThere = () => findProgram(['redis-server'], environment) !== undefined;
  if (isThere() || (installTools(root, environment, 'redis-server') && isThere())) return;
  throw new Error(
    'Some tests need redis-server, which is not installed. Run:\n\n  sudo scripts/install-test-tools.sh\n\nor install it with the packages of your system.',
  );
}
