/**
 * The example as a user has it: copied out of the repository, with the SDK installed from the file that `npm pack` makes.
 */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from './programs.ts';
import { root } from './world.ts';

/** A copy of the example outside the repository. */
export interface PackedRecords {
  folder: string;
  remove(): Promise<void>;
}

/** Packs the SDK and installs it, with the example's other dependencies, into a copy of the example. */
export async function packRecords(): Promise<PackedRecords> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-packed-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const copy = join(folder, 'records');
    await mkdir(copy);
    await cp(join(root, 'examples/records/src'), join(copy, 'src'), { recursive: true });
    await run('npm', ['pack', '--silent', '--workspace', 'packages/sdk', '--pack-destination', folder], root);
    const [tarball] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
    if (tarball === undefined) throw new Error('npm pack made no file');
    const manifest = JSON.parse(await readFile(join(root, 'examples/records/package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    manifest.dependencies['@gatehouse/sdk'] = `file:../${tarball}`;
    await writeFile(join(copy, 'package.json'), JSON.stringify(manifest, null, 2));
    await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'], copy);
    return { folder: copy, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const { exitCode, output } = await runProgram(command, args, { cwd });
  if (exitCode !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${output}`);
}
