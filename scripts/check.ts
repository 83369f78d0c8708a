/**
 * Everything a change must pass, the same for people and CI: format, lint, types, generated files, and the tests
 * (`checks/` among them). `--fast` leaves the tests out. Stops at the first stage that fails.
 */
import { spawnSync } from 'node:child_process';

const stages: [name: string, command: string[]][] = [
  ['format', ['biome', 'check', '.']],
  ['lint', ['oxlint', '--type-aware', '--deny-warnings']],
  ['types', ['tsc', '--noEmit']],
  ['generated files', ['npm', 'run', '--silent', 'generate']],
  [
    'generated files are committed',
    ['git', 'diff', '--exit-code', '--stat', '--', 'apps/server/schema.sql', 'apps/server/src/tables.ts', 'docs'],
  ],
];
if (!process.argv.includes('--fast'))
  stages.push(['tests', ['npm', 'test', '--silent', '--', ...process.argv.slice(2)]]);

for (const [name, [command = '', ...args]] of stages) {
  process.stdout.write(`\n— ${name}\n`);
  const started = performance.now();
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) {
    process.stderr.write(`\n${name} failed: ${[command, ...args].join(' ')}\n`);
    process.exit(1);
  }
  process.stdout.write(`  ${Math.round((performance.now() - started) / 1000)} s\n`);
}
process.stdout.write('\nAll checks passed.\n');
