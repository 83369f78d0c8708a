/**
 * Builds what is published: JavaScript and declarations by `tsc`, with what is used of our private packages built in
 * beside the SDK's own files. Imports of them become relative paths, and declarations name `.js` files, so that a user
 * needs nothing of this repository. Fails if anything else than the declared dependencies is imported.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const repository = join(packageFolder, '../..');
const dist = join(packageFolder, 'dist');
/** What of our packages is built in, and where it comes to lie; `paths` of tsconfig.build.json says the same. */
const inlined = new Map([
  ['@gatehouse/configuration/verify-bundle', join(dist, 'configuration/src/verify-bundle.js')],
  // Only the types of JSON values: the rest of the contracts is the server's.
  ['@gatehouse/contracts', join(dist, 'contracts/src/json.js')],
  ['@gatehouse/crypto', join(dist, 'crypto/src/index.js')],
]);
const specifierPattern = /((?:\bfrom|\bimport|\bimport\()\s*['"])([^'"]+)(['"])/g;

interface Manifest {
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
}

const manifest = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as Manifest;
const allowed = new Set([...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)]);

rmSync(dist, { recursive: true, force: true });
execFileSync(
  process.execPath,
  [join(repository, 'node_modules/typescript/bin/tsc'), '-p', join(packageFolder, 'tsconfig.build.json')],
  { stdio: 'inherit' },
);
copyFileSync(join(repository, 'LICENSE'), join(dist, 'LICENSE'));

for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.js') && !name.endsWith('.d.ts')) continue;
  const file = join(dist, name);
  const text = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    text.replaceAll(specifierPattern, (_match, before: string, specifier: string, after: string) => {
      return `${before}${rewritten(file, specifier)}${after}`;
    }),
  );
}

function rewritten(file: string, specifier: string): string {
  const target = inlined.get(specifier);
  if (target !== undefined) {
    const path = relative(dirname(file), target).split(sep).join('/');
    return path.startsWith('.') ? path : `./${path}`;
  }
  if (specifier.startsWith('.')) return specifier.replace(/\.ts$/, '.js');
  if (specifier.startsWith('node:') || allowed.has(packageOf(specifier))) return specifier;
  throw new Error(`${file} imports ${specifier}, which is neither inlined nor a declared dependency.`);
}

/** The package of `name/part`, with its scope. */
function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}
