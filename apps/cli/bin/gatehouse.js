#!/usr/bin/env node
// Starts the command line program on the Node it is written for. `npx gatehouse` and a link in a PATH run this file on
// whatever `node` comes first, which may be too old to run TypeScript; npm installed the right one beside us.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= 24) {
  process.argv[1] = main;
  await import('../src/main.ts');
} else {
  const node = packagedNode();
  if (node === undefined) {
    console.error(
      `gatehouse: Node 24 or newer is needed; this is ${process.version}, and the npm package "node" is not there. Run npm install.`,
    );
    process.exit(1);
  }
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  // The terminal sends its signals to both; one that is sent to us alone is passed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`gatehouse: the packaged Node cannot be started (${error.message}). Run npm install again.`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

/** Path of the executable in the npm package `node`; undefined without it. */
function packagedNode() {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin', 'node');
  } catch {
    return undefined;
  }
}
