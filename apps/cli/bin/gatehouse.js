#!/usr/bin/env node
// Starts the command line program on the Node it is written for. `npx gatehouse` and a link in a PATH run this file on
// whatever `node` comes first, which may be too old to run TypeScript; npm installed the right one beside us.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { isatty } from 'node:tty';
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
  // `gatehouse run` stands for another program: whatever comes is passed on. Of what a terminal sends, both get their own.
  const fromTerminal = isatty(0) ? ['SIGINT', 'SIGQUIT', 'SIGWINCH'] : [];
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGWINCH', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGALRM']) {
    process.on(signal, () => fromTerminal.includes(signal) || child.kill(signal));
  }
  child.on('error', (error) => {
    console.error(`gatehouse: the packaged Node cannot be started (${error.message}). Run npm install again.`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal !== null) {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    }
    // After a signal: for the first process of a container, which none ends.
    setTimeout(() => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)), signal === null ? 0 : 200);
  });
}

/** Path of the executable in the npm package `node`; undefined without it. */
function packagedNode() {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin', 'node');
  } catch {
    return undefined;
  }
}
