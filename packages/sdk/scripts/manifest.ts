/**
 * Switches package.json between its two forms. In the workspace `exports` names the sources, so that other packages run
 * them without a build. In the published form the fields of `publishConfig` take their place (as pnpm does) and what
 * only the workspace needs is left out. `npm pack` calls it before and after.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const manifestPath = fileURLToPath(new URL('../package.json', import.meta.url));
const keptPath = fileURLToPath(new URL('../.package.workspace.json', import.meta.url));
const form = process.argv[2];

if (form === 'published') {
  // After a pack that was killed, the kept form is the true one.
  const text = readFileSync(existsSync(keptPath) ? keptPath : manifestPath, 'utf8');
  writeFileSync(keptPath, text);
  const manifest = JSON.parse(text) as Record<string, unknown> & { publishConfig: { exports: unknown } };
  const published = {
    ...manifest,
    exports: manifest.publishConfig.exports,
    publishConfig: { access: 'public' },
    scripts: undefined,
    devDependencies: undefined,
  };
  writeFileSync(manifestPath, `${JSON.stringify(published, null, 2)}\n`);
} else if (form === 'workspace') {
  if (existsSync(keptPath)) renameSync(keptPath, manifestPath);
} else {
  console.error('usage: node scripts/manifest.ts published|workspace');
  process.exitCode = 2;
}
